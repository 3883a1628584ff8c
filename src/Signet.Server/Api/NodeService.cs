using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Revocation;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Identity.Spiffe;
using Signet.Identity.X509.Revocation;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;
using Signet.Server.Attestation;
using Signet.Server.Federation;
using Signet.Server.Limits;
using Signet.Server.Registration;
using Signet.Server.Telemetry;
using Signet.Server.Upkeep;

namespace Signet.Server.Api;

/// <summary>
/// signet.node.v1.Node: tells each agent what it may serve, at once and at every change that concerns it, and hears what it has applied. A
/// slow agent holds nobody back: while it reads, changes pile up into one.
/// </summary>
internal sealed class NodeService(
    AuthorizedEntries authorized,
    EntryDirectory entries,
    AgentDirectory agents,
    AuthorityRotation authorities,
    FederatedBundles federated,
    ChangeSignal bundleChanges,
    Acknowledgements acknowledgements,
    ServerMetrics metrics,
    PushMetrics pushes,
    OcspResponder responder,
    CallLimits limits,
    TimeProvider time,
    ILogger<NodeService> log)
    : Node.NodeBase
{
    private static readonly TimeSpan LongestStream = TimeSpan.FromDays(1);

    /// <summary>So many agents may come back in a second after all of them have lost their streams.</summary>
    private const int ReturnsPerSecond = 500;

    /// <summary>As many certificates as an agent asks for at once.</summary>
    private const int MaxStaples = 500;

    /// <summary>20 bytes in hex (RFC 5280 §4.1.2.2).</summary>
    private const int MaxSerialLength = 40;

    private long _lastRevision;

    public override async Task Watch(IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<NodeUpdate> responseStream, ServerCallContext context)
    {
        var (agent, expiresAt) = CallerOf.Attested(context);
        var left = expiresAt - time.GetUtcNow();
        using var expiry = new CancellationTokenSource(left < LongestStream ? left : LongestStream, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, expiry.Token);
        var refusals = new ChangeSignal();
        var hearing = HearAsync(agent, requestStream, refusals, stop);
        log.AgentConnected(agent.Uri);
        metrics.AgentConnected();
        try
        {
            await PushAsync(agent, responseStream, refusals, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The agent closed its half, the connection ended, the server stops, or the certificate that opened the stream has expired.
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await hearing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            metrics.AgentDisconnected();
            log.AgentDisconnected(agent.Uri);
        }
    }

    public override Task<StapleResponse> Staple(StapleRequest request, ServerCallContext context) => Rpcs.GuardAsync(async () =>
    {
        if (request.Certificates.Count > MaxStaples)
        {
            throw Rpcs.Invalid($"{request.Certificates.Count} certificates; the limit is {MaxStaples}");
        }

        if (limits.TakeSignatures(CallerOf.Agent(context), request.Certificates.Count) is { } reached)
        {
            metrics.Limited(reached.Name);
            throw Rpcs.Limited(reached);
        }

        // Everybody who answers a handshake is asked about with SHA-1.
        var ledger = authorities.Current.Ledger;
        var response = new StapleResponse();
        foreach (var one in request.Certificates)
        {
            var answer = one.Serial.Length is > 0 and <= MaxSerialLength && one.Serial.All(char.IsAsciiHexDigitLower) && ledger.Find(one.IssuerSerial) is X509AuthorityRecord issuer
                ? await responder.AnswerAsync([OcspCertificateId.Of(issuer.Certificate, one.Serial, HashAlgorithmName.SHA1)], context.CancellationToken).ConfigureAwait(false)
                : OcspResponse.Refuse(OcspRefusal.Unauthorized);
            response.Responses.Add(UnsafeByteOperations.UnsafeWrap(answer));
        }

        return response;
    });

    private async Task PushAsync(SpiffeId agent, IServerStreamWriter<NodeUpdate> responseStream, ChangeSignal refusals, CancellationToken cancellationToken)
    {
        using var watch = entries.Watchers.Begin();
        using var push = pushes.Begin();
        NodeImage? told = null;
        long? since = null;
        var refused = refusals.Version;
        while (agents.Find(agent) is { Banned: false })
        {
            // 1. What is there now. Versions are read before what they guard.
            var (entriesSeen, bundlesSeen) = ((watch.Changes, watch.Changes.Version), (bundleChanges, bundleChanges.Version));
            var mine = Follow(agent, watch);
            var current = authorities.Current;
            var image = new NodeImage(mine.ById, [BundleService.Of(current), .. federated.For(mine.ById.Values).Select(bundle => bundle.ToWire())]) { Authorities = NoticeOf(current) };

            // 2. What of it the agent has not been told; all of it when it could not make use of what came before.
            if (refusals.Version != refused)
            {
                (told, refused) = (null, refusals.Version);
            }

            var isNew = false;
            push.Due(since);
            foreach (var update in NodeUpdates.Between(told, image, NextRevision()))
            {
                update.SpreadMilliseconds = update.Afresh ? (uint)(agents.Count * 1000L / ReturnsPerSecond) : 0;
                await responseStream.WriteAsync(update, cancellationToken).ConfigureAwait(false);
                isNew = true;
            }

            push.Written(isNew ? since : null);
            told = image;

            // 3. Until something changes.
            await WaitAsync(entriesSeen, bundlesSeen, mine.Reach.Until, cancellationToken).ConfigureAwait(false);
            since = Earlier(entriesSeen.Changes.RaisedAfter(entriesSeen.Version), bundlesSeen.bundleChanges.RaisedAfter(bundlesSeen.Version));
        }
    }

    private static long? Earlier(long? one, long? other) => one is null || other < one ? other : one;

    private AgentEntries Follow(SpiffeId agent, EntryWatchers.Watch watch)
    {
        while (true)
        {
            var mine = authorized.For(agent);
            if (!watch.Follow(mine.Reach.Parents))
            {
                return mine;
            }
        }
    }

    private async Task WaitAsync((ChangeSignal Signal, long Seen) one, (ChangeSignal Signal, long Seen) other, DateTimeOffset? until, CancellationToken cancellationToken)
    {
        // What was awaited in vain must not stay behind as a waiter of a quiet signal.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var left = until - time.GetUtcNow();
        var expiry = Task.Delay(left is { } soon && soon < LongestStream ? (soon > TimeSpan.Zero ? soon : TimeSpan.Zero) : Timeout.InfiniteTimeSpan, time, either.Token);
        await Task.WhenAny(one.Signal.WaitAsync(one.Seen, either.Token), other.Signal.WaitAsync(other.Seen, either.Token), expiry).ConfigureAwait(false);
        await either.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task HearAsync(SpiffeId agent, IAsyncStreamReader<WatchRequest> requestStream, ChangeSignal refusals, CancellationTokenSource stop)
    {
        try
        {
            while (await requestStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                acknowledgements.Record(agent, requestStream.Current);
                if (requestStream.Current.Problem.Length > 0)
                {
                    log.AgentRefusedUpdate(agent.Uri, requestStream.Current.AcknowledgedRevision, Printable.Of(requestStream.Current.Problem));
                    refusals.Raise();
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
        }
    }

    private static AuthorityNotice NoticeOf(AuthoritySnapshot authorities)
    {
        var notice = new AuthorityNotice();
        notice.Superseded.AddRange(authorities.Superseded.Order(StringComparer.Ordinal));
        notice.Crls.AddRange(authorities.Crls.Select(list => ByteString.CopyFrom(list.Der.Span)));
        return notice;
    }

    // Grows across restarts too, because it never falls behind the clock.
    private ulong NextRevision()
    {
        while (true)
        {
            var last = Volatile.Read(ref _lastRevision);
            var next = Math.Max(last + 1, time.GetUtcNow().ToUnixTimeMilliseconds());
            if (Interlocked.CompareExchange(ref _lastRevision, next, last) == last)
            {
                return (ulong)next;
            }
        }
    }
}
