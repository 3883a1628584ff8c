using System.Globalization;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Agent.Telemetry;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;

namespace Signet.Agent.WorkloadApi;

/// <summary>What a workload may have at one moment.</summary>
/// <param name="Matching">The entries that fit it.</param>
/// <param name="Svids">Their valid SVIDs; fewer while some are still being signed.</param>
/// <param name="Snapshot">Where both come from.</param>
internal sealed record Entitlement(IReadOnlyList<RegistrationEntry> Matching, IReadOnlyList<HeldSvid> Svids, IdentitySnapshot Snapshot);

/// <summary>
/// One attested caller and its standing: what it may have now, and again after each change, for as long as the process lives.
/// </summary>
/// <param name="peer">The process.</param>
/// <param name="selectors">What is known of it.</param>
/// <param name="until">When the first of what is known ceases to be true; the end of time when nothing does.</param>
/// <param name="isCovered">Whether entries still ask about nothing else than what was looked for.</param>
/// <param name="cache">What there is to have.</param>
/// <param name="clients">Where its streams have their seats.</param>
/// <param name="time">The clock.</param>
internal sealed class WorkloadSubject(PeerCredential peer, IReadOnlySet<Selector> selectors, DateTimeOffset until, Func<bool> isCovered, IdentityCache cache, ClientLedger clients, TimeProvider time)
{
    /// <summary>So that a clock that is set forward does not hold an expiry up for long.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    /// <summary>A call that ends with one answer waits so long for what is still being signed.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public int Pid => peer.Pid;

    /// <summary>The process that connected.</summary>
    public PeerCredential Peer => peer;

    public IReadOnlySet<Selector> Selectors => selectors;

    /// <summary>Its supplementary groups, as attestation found them.</summary>
    public IReadOnlyList<uint> Groups =>
    [
        .. selectors
            .Where(selector => selector.Type == UnixAttestor.Type && selector.Value.StartsWith(UnixAttestor.SupplementaryGroup, StringComparison.Ordinal))
            .Select(selector => uint.Parse(selector.Value.AsSpan(UnixAttestor.SupplementaryGroup.Length), CultureInfo.InvariantCulture)),
    ];

    /// <summary>Completes when <see cref="Now"/> begins to refuse because of the time; whoever keeps a stream open asks again then.</summary>
    public Task ExpiredAsync(CancellationToken cancellationToken)
    {
        var left = until - time.GetUtcNow();
        return Task.Delay(left > TimeSpan.Zero && left < LongestWait ? left : LongestWait, time, cancellationToken);
    }

    /// <summary>The same caller, of which more is known until a moment.</summary>
    public WorkloadSubject With(IEnumerable<Selector> more, DateTimeOffset untilThen) =>
        new(peer, selectors.Concat(more).ToHashSet(), untilThen < until ? untilThen : until, isCovered, cache, clients, time);

    /// <summary>What the caller may have now.</summary>
    /// <exception cref="RpcException">PERMISSION_DENIED: the process has ended, its token has expired, or no entry fits it. UNAVAILABLE: nothing is known yet, or not all that
    /// entries ask about.</exception>
    public Entitlement Now()
    {
        if (!peer.IsAlive())
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "the calling process has ended"));
        }

        var (snapshot, now) = (cache.Current, time.GetUtcNow());
        if (now >= until)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "the workload token has expired; connect again with a new one"));
        }

        if (!isCovered())
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "entries ask about something new; call again, to be looked at for that too"));
        }

        if (snapshot.View.Revision == 0)
        {
            // Knowing nothing yet is no reason to take an identity away: whoever holds one goes on using it.
            throw new RpcException(new Status(StatusCode.Unavailable, "the agent has not heard from its server yet"));
        }

        var matching = snapshot.Matching(selectors, now);
        cache.Use(matching);
        return matching.Count > 0
            ? new Entitlement(matching, snapshot.Svids(matching, now), snapshot)
            : throw new RpcException(new Status(StatusCode.PermissionDenied, "no identity issued"));
    }

    /// <summary>What the caller may have, once there is an SVID of each entry, or after a moment as many as there are.</summary>
    /// <exception cref="RpcException">As <see cref="Now"/>.</exception>
    public async Task<Entitlement> ReadyAsync(CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            var seen = cache.Changes.Version;
            var (entitlement, left) = (Now(), Patience - time.GetElapsedTime(began));
            if (entitlement.Svids.Count == entitlement.Matching.Count || left <= TimeSpan.Zero)
            {
                return entitlement;
            }

            await cache.Changes.WaitAsync(seen, left, time, cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>What to call the caller.</summary>
    public string NameFor(Entitlement entitlement) => $"pid {Pid} ({entitlement.Matching[0].SpiffeId})";

    /// <summary>Grows with each change of what the agent serves.</summary>
    public long Version => cache.Changes.Version;

    /// <summary>Waits for a change since a version, or for a time.</summary>
    public async Task ChangeAsync(long seen, DateTimeOffset until, CancellationToken cancellationToken)
    {
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var wait = until - time.GetUtcNow();
        await Task.WhenAny(cache.Changes.WaitAsync(seen, woken.Token), Task.Delay(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, time, woken.Token)).ConfigureAwait(false);
        await woken.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>Keeps a seat in the ledger for one of the caller's streams; the stream disposes it.</summary>
    public ClientSeat Seat(string name) => clients.Open(Pid, name, reports: false, selectors);

    /// <summary>
    /// Calls <paramref name="send"/> at once and after each change for which <paramref name="fingerprint"/> answers something new, until
    /// the call ends or the caller loses its standing.
    /// </summary>
    public async Task FollowAsync<T>(Func<Entitlement, T?> fingerprint, Func<Entitlement, Task> send, CancellationToken cancellationToken)
        where T : class, IEquatable<T>
    {
        T? sent = null;
        using var seat = Seat(NameFor(Now()));
        while (true)
        {
            var seen = cache.Changes.Version;
            var entitlement = Now();
            if (fingerprint(entitlement) is { } fresh)
            {
                if (!fresh.Equals(sent))
                {
                    await send(entitlement).ConfigureAwait(false);
                    sent = fresh;
                }

                seat.Told(entitlement);
            }

            await cache.Changes.WaitAsync(seen, cancellationToken).ConfigureAwait(false);
        }
    }
}

/// <summary>Attests whoever calls: <see cref="AttestAsync"/> runs before each call of a service, which then finds out by <see cref="Of"/> who calls it.</summary>
internal sealed class WorkloadSubjects(WorkloadAttestor attestor, IdentityCache cache, ClientLedger clients, AgentMetrics metrics, TimeProvider time, ILogger<WorkloadSubjects> log)
{
    private static readonly object Key = new();

    /// <summary>Attests the caller. The filter of every service that asks for it.</summary>
    /// <exception cref="RpcException">UNAVAILABLE: the caller could not be attested.</exception>
    public async ValueTask AttestAsync(ServerCallContext context)
    {
        var peer = context.PeerCredential();
        var verdict = await attestor.AttestAsync(peer, context.CancellationToken).ConfigureAwait(false);
        if (!verdict.IsAttested)
        {
            metrics.Attested("failed");
            throw new RpcException(new Status(StatusCode.Unavailable, "the calling process could not be attested"));
        }

        context.UserState[Key] = new WorkloadSubject(peer, verdict.Selectors, DateTimeOffset.MaxValue, () => attestor.Covers(verdict), cache, clients, time);
    }

    /// <summary>The filter of the services whose callers must show the header of the Workload API as well.</summary>
    /// <inheritdoc cref="WorkloadHeader.CheckAsync"/>
    /// <inheritdoc cref="AttestAsync"/>
    public async ValueTask AttestWithHeaderAsync(ServerCallContext context)
    {
        await WorkloadHeader.CheckAsync(context).ConfigureAwait(false);
        await AttestAsync(context).ConfigureAwait(false);
    }

    /// <summary>The caller; counted, and what it gets told to the log.</summary>
    public WorkloadSubject Of(ServerCallContext context)
    {
        var subject = Attest(context);
        Report(subject);
        return subject;
    }

    /// <summary>The caller, as the filter attested it.</summary>
    /// <exception cref="InvalidOperationException">The service was added without the filter.</exception>
    public WorkloadSubject Attest(ServerCallContext context) =>
        context.UserState.TryGetValue(Key, out var subject) ? (WorkloadSubject)subject : throw new InvalidOperationException($"{context.Method} is served without attesting its callers");

    private void Report(WorkloadSubject subject)
    {
        var selectors = LoggedSelectors.Of(subject.Selectors);
        if (cache.Current.View.Revision == 0)
        {
            return;
        }

        var matching = cache.Current.Matching(subject.Selectors, time.GetUtcNow());
        metrics.Attested(matching.Count > 0 ? "served" : "no_entry");
        if (matching.Count > 0)
        {
            log.WorkloadServed(subject.Pid, string.Join(' ', matching.Select(entry => entry.SpiffeId.Uri)), selectors);
        }
        else
        {
            log.WorkloadWithoutIdentity(subject.Pid, selectors);
        }
    }
}
