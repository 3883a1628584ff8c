using System.Collections.Immutable;
using Grpc.Core;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Sds;

/// <summary>How an SDS client stands with what it was sent last.</summary>
internal enum SdsStanding
{
    /// <summary>It was sent nothing yet.</summary>
    Nothing,

    /// <summary>It has not answered.</summary>
    Waiting,

    /// <summary>It has taken it over.</summary>
    Accepted,

    /// <summary>It has refused it and keeps what it had.</summary>
    Rejected,
}

/// <summary>A version, and when.</summary>
internal sealed record SdsMark(string Version, DateTimeOffset At);

/// <summary>A refusal: which version, when, and what the client said.</summary>
internal sealed record SdsRejection(string Version, DateTimeOffset At, string Problem);

/// <summary>What is known of a client at one moment. Immutable; every text from outside is cut and printable.</summary>
internal sealed record SdsClientView(int Pid, uint Uid, string SpiffeId, string Protocol, DateTimeOffset Since)
{
    public string Node { get; init; } = "";

    public string UserAgent { get; init; } = "";

    public ImmutableArray<string> Names { get; init; } = [];

    /// <summary>Names that it asked for and does not get, with the reason.</summary>
    public ImmutableSortedDictionary<string, string> Missing { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    public SdsStanding Standing { get; init; }

    public SdsMark? Sent { get; init; }

    public SdsMark? Accepted { get; init; }

    public SdsRejection? Rejected { get; init; }

    public long Responses { get; init; }

    public long Rejections { get; init; }
}

/// <summary>The streams of SDS clients that are open, and how many there may be. Thread-safe.</summary>
internal sealed class SdsClients(TimeProvider time)
{
    /// <summary>How many streams may be open at once.</summary>
    public const int MaxStreams = 20_000;

    /// <summary>How many of them one user's processes may have; root's count like any other's.</summary>
    public const int MaxStreamsPerUser = 10_000;

    /// <summary>How many of them one process may have. Envoy opens one for each secret.</summary>
    public const int MaxStreamsPerProcess = 2_000;

    private readonly Lock _gate = new();
    private readonly HashSet<SdsClient> _open = [];
    private readonly Dictionary<int, int> _byProcess = [];
    private readonly Dictionary<uint, int> _byUser = [];

    /// <summary>All of them, in the order in which they came.</summary>
    public IReadOnlyList<SdsClientView> Views
    {
        get
        {
            lock (_gate)
            {
                return [.. _open.Select(client => client.View).OrderBy(view => view.Since).ThenBy(view => view.Pid)];
            }
        }
    }

    /// <summary>Keeps a place for a stream; the stream disposes it.</summary>
    /// <exception cref="RpcException">RESOURCE_EXHAUSTED: there are too many.</exception>
    public SdsClient Open(int pid, uint uid, string spiffeId, string protocol)
    {
        var client = new SdsClient(this, new SdsClientView(pid, uid, Printable.Of(spiffeId), protocol, time.GetUtcNow()), time);
        lock (_gate)
        {
            var problem =
                _byProcess.GetValueOrDefault(pid) >= MaxStreamsPerProcess ? $"the process has {MaxStreamsPerProcess} SDS streams open; close some"
                : _byUser.GetValueOrDefault(uid) >= MaxStreamsPerUser ? $"processes of this user have {MaxStreamsPerUser} SDS streams open"
                : _open.Count >= MaxStreams ? $"there are {MaxStreams} SDS streams open"
                : "";
            if (problem.Length > 0)
            {
                throw new RpcException(new Status(StatusCode.ResourceExhausted, problem));
            }

            _open.Add(client);
            Count(_byProcess, pid, 1);
            Count(_byUser, uid, 1);
        }

        return client;
    }

    internal void Close(SdsClient client)
    {
        lock (_gate)
        {
            if (_open.Remove(client))
            {
                Count(_byProcess, client.View.Pid, -1);
                Count(_byUser, client.View.Uid, -1);
            }
        }
    }

    private static void Count<T>(Dictionary<T, int> counts, T key, int change)
        where T : notnull
    {
        var count = counts.GetValueOrDefault(key) + change;
        if (count == 0)
        {
            counts.Remove(key);
        }
        else
        {
            counts[key] = count;
        }
    }
}

/// <summary>One stream of a client, as operators see it. One writer, any number of readers.</summary>
internal sealed class SdsClient(SdsClients clients, SdsClientView view, TimeProvider time) : IDisposable
{
    /// <summary>How many names are shown.</summary>
    public const int MaxShown = 16;

    private SdsClientView _view = view;

    public SdsClientView View => Volatile.Read(ref _view);

    public void Introduced(string node, string userAgent) => Set(View with { Node = Printable.Of(node), UserAgent = Printable.Of(userAgent) });

    public void Asks(IReadOnlyCollection<string> names) => Set(View with { Names = [.. names.Take(MaxShown).Select(Shown)] });

    public void DoesNotGet(IEnumerable<(string Name, string Reason)> missing) =>
        Set(View with { Missing = missing.Take(MaxShown).Select(one => KeyValuePair.Create(Shown(one.Name), one.Reason)).DistinctBy(pair => pair.Key).ToImmutableSortedDictionary(StringComparer.Ordinal) });

    public void Sent(string version) =>
        Set(View with { Sent = new SdsMark(version, time.GetUtcNow()), Standing = SdsStanding.Waiting, Responses = View.Responses + 1 });

    public void Accepted() => Set(View with { Accepted = new SdsMark(View.Sent?.Version ?? "", time.GetUtcNow()), Standing = SdsStanding.Accepted });

    public void Rejected(string problem) => Set(View with
    {
        Rejected = new SdsRejection(View.Sent?.Version ?? "", time.GetUtcNow(), problem),
        Standing = SdsStanding.Rejected,
        Rejections = View.Rejections + 1,
    });

    public void Dispose() => clients.Close(this);

    // The paths of a user's key files are not everybody's to read.
    public static string Shown(string name)
    {
        var understood = SecretName.Of(name);
        return understood.IsFile ? name[..(name.IndexOf(':', StringComparison.Ordinal) + 1)] : Printable.Of(name);
    }

    private void Set(SdsClientView next) => Volatile.Write(ref _view, next);
}
