using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload.Token;
using Signet.Agent.Identities;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Files;
using Signet.Rpc.Wire.Envoy.Core;

namespace Signet.Agent.Sds;

/// <summary>What every stream works with.</summary>
internal sealed record SdsWorld(IdentityCache Cache, Staples Staples, WorkloadTokens Tokens, ForeignFiles Files, SdsMetrics Metrics, TimeProvider Time, ILogger Log);

/// <summary>
/// One SDS stream: takes what the client says, and tells it what it asked for and each change. To a client that does not answer, changes are told at most
/// every <see cref="UnansweredPause"/>: it is not flooded, and if it never answers anything it still gets its renewals. One task.
/// </summary>
internal sealed class SdsStream<TRequest, TResponse>(ISdsDialogue<TRequest, TResponse> dialogue, WorkloadSubject process, SdsClient client, ClientSeat seat, SdsWorld world)
    where TRequest : class
    where TResponse : class
{
    /// <summary>How long a client that has not answered the last response is left alone with the next change.</summary>
    public static readonly TimeSpan UnansweredPause = TimeSpan.FromSeconds(30);

    /// <summary>How often files are looked at.</summary>
    public static readonly TimeSpan FilePoll = TimeSpan.FromSeconds(5);

    /// <summary>How many secrets from files a stream may ask for.</summary>
    public const int MaxFiles = 32;

    private readonly Dictionary<string, FileSecret> _files = new(StringComparer.Ordinal);
    private readonly WorkloadSubject _process = process;
    private WorkloadSubject _subject = process;
    private readonly FileReader _reader = new(process.Pid, process.Peer.Uid, process.Peer.Gid, process.Groups);
    private ValidatorStyle _style;
    private long? _filesReadAt;
    private long _sentAt;
    private string _complained = "";

    /// <summary>Serves until the client ends its stream or loses its standing.</summary>
    public async Task RunAsync(ChannelReader<TRequest> requests, IServerStreamWriter<TResponse> responses, CancellationToken cancellationToken)
    {
        var readable = requests.WaitToReadAsync(cancellationToken).AsTask();
        while (true)
        {
            var seen = world.Cache.Changes.Version;
            while (requests.TryRead(out var request))
            {
                Take(request);
            }

            var rest = dialogue.IsOpen ? await TellAsync(responses, cancellationToken).ConfigureAwait(false) : Timeout.InfiniteTimeSpan;
            if (requests.Completion.IsCompleted)
            {
                return;
            }

            if (readable.IsCompleted)
            {
                readable = requests.WaitToReadAsync(cancellationToken).AsTask();
            }

            using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(readable, world.Cache.Changes.WaitAsync(seen, woken.Token), Task.Delay(rest, world.Time, woken.Token), _subject.ExpiredAsync(woken.Token)).ConfigureAwait(false);
            await woken.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>The one answer to a request that is not followed by others.</summary>
    public async Task<TResponse> FetchAsync(TRequest request, CancellationToken cancellationToken)
    {
        Take(request);
        await _subject.ReadyAsync(cancellationToken).ConfigureAwait(false);
        var entitlement = await LookAsync(cancellationToken).ConfigureAwait(false);
        var answers = Answers(entitlement);
        if (dialogue.Reply(answers) is { } reply)
        {
            return reply.Message;
        }

        throw new RpcException(answers.Select(named => named.Answer).OfType<SecretAnswer.Missing>().FirstOrDefault() is { } missing
            ? new Status(missing.Code, missing.Reason)
            : new Status(StatusCode.Unavailable, "the first certificate is still being signed"));
    }

    private void Take(TRequest request)
    {
        if (dialogue.ProblemOf(request) is { Length: > 0 } problem)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, problem));
        }

        if (dialogue.NodeOf(request) is { } node)
        {
            Introduce(node);
        }

        var reading = dialogue.Take(request);
        if (reading.Event.HasFlag(SdsEvent.Accepted))
        {
            client.Accepted();
            world.Metrics.Accepted();
        }

        if (reading.Event.HasFlag(SdsEvent.Rejected))
        {
            client.Rejected(reading.Problem);
            world.Metrics.Rejected();
            world.Log.SdsRejected(client.View.Node, _subject.Pid, client.View.Sent?.Version ?? "", reading.Problem);
        }

        if (reading.Event.HasFlag(SdsEvent.Subscribed))
        {
            client.Asks(dialogue.Names);
        }
    }

    /// <summary>
    /// Takes in what a client says of itself. It counts for no more than how it wants to be served, but for what its token proves; files are read with what the
    /// process is, whatever the token says.
    /// </summary>
    private void Introduce(Node node)
    {
        _subject = world.Tokens.Join(_process, node.Metadata);
        _style = ValidatorStyles.Of(node);
        var version = node.UserAgentBuildVersion?.Version is { } built ? $"{built.MajorNumber}.{built.MinorNumber}.{built.Patch}" : node.UserAgentVersion;
        client.Introduced(node.Id, $"{node.UserAgentName} {version}".Trim());
    }

    /// <returns>How long there is nothing to do, unless something happens.</returns>
    private async Task<TimeSpan> TellAsync(IServerStreamWriter<TResponse> responses, CancellationToken cancellationToken)
    {
        var pause = UnansweredPause - world.Time.GetElapsedTime(_sentAt);
        if (!dialogue.IsSettled && !dialogue.Owes && pause > TimeSpan.Zero)
        {
            // What it may no longer have ends the stream all the same.
            _subject.Now();
            return pause;
        }

        var entitlement = await LookAsync(cancellationToken).ConfigureAwait(false);
        var answers = Answers(entitlement);
        Complain(answers);
        if (dialogue.Reply(answers) is { } reply)
        {
            client.Sent(reply.Version);
            _sentAt = world.Time.GetTimestamp();
            await responses.WriteAsync(reply.Message, cancellationToken).ConfigureAwait(false);
        }
        else if (client.View.Standing == SdsStanding.Accepted)
        {
            seat.Told(entitlement);
        }

        return !dialogue.IsSettled ? UnansweredPause : _files.Count > 0 ? FilePoll : Timeout.InfiniteTimeSpan;
    }

    /// <summary>Looks at the files, when it is time, and then at what the client may have: that it still lives is asked last.</summary>
    private async Task<Entitlement> LookAsync(CancellationToken cancellationToken)
    {
        var files = dialogue.Names.Select(name => (Text: name, Name: SecretName.Of(name))).Where(name => name.Name.IsFile).ToList();
        foreach (var gone in _files.Keys.Except(files.Select(file => file.Text), StringComparer.Ordinal).ToList())
        {
            _files.Remove(gone);
        }

        var isTime = _filesReadAt is not { } at || world.Time.GetElapsedTime(at) >= FilePoll;
        foreach (var (text, name) in files)
        {
            var isNew = !_files.ContainsKey(text);
            if (isNew && _files.Count < MaxFiles)
            {
                _files[text] = new FileSecret(world.Files, text, name);
            }

            if ((isNew || isTime) && _files.TryGetValue(text, out var secret))
            {
                await secret.LookAsync(_reader, cancellationToken).ConfigureAwait(false);
            }
        }

        _filesReadAt = isTime ? world.Time.GetTimestamp() : _filesReadAt;
        return _subject.Now();
    }

    private List<NamedAnswer> Answers(Entitlement entitlement)
    {
        var names = dialogue.IsWildcard ? dialogue.Names.Union(SecretCatalog.NamesOf(entitlement), StringComparer.Ordinal) : dialogue.Names;
        var now = world.Time.GetUtcNow();
        return [.. names.Select(text => new NamedAnswer(text, _files.GetValueOrDefault(text)?.Answer ?? SecretCatalog.Find(entitlement, text, SecretName.Of(text), _style, now, world.Staples.Of)))];
    }

    // Once for each set of names, not at every look.
    private void Complain(IEnumerable<NamedAnswer> answers)
    {
        var missing = answers.Where(named => named.Answer is SecretAnswer.Missing).Select(named => (named.Name, ((SecretAnswer.Missing)named.Answer).Reason)).ToList();
        var text = string.Join("; ", missing.Take(SdsClient.MaxShown).Select(one => $"{SdsClient.Shown(one.Name)}: {one.Reason}"));
        if (text == _complained)
        {
            return;
        }

        _complained = text;
        client.DoesNotGet(missing);
        if (missing.Count > 0)
        {
            world.Metrics.Missed(missing.Count);
            world.Log.SdsUnknownNames(client.View.Node, _subject.Pid, text);
        }
    }
}
