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
internal sealed class WorkloadSubject(PeerCredential peer, IReadOnlySet<Selector> selectors, IdentityCache cache, ClientLedger clients, TimeProvider time)
{
    /// <summary>A call that ends with one answer waits so long for what is still being signed.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public int Pid => peer.Pid;

    public IReadOnlySet<Selector> Selectors => selectors;

    /// <summary>What the caller may have now.</summary>
    /// <exception cref="RpcException">PERMISSION_DENIED: the process has ended, or no entry fits it. UNAVAILABLE: nothing is known yet.</exception>
    public Entitlement Now()
    {
        if (!peer.IsAlive())
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "the calling process has ended"));
        }

        var (snapshot, now) = (cache.Current, time.GetUtcNow());
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

/// <summary>Attests whoever calls.</summary>
internal sealed class WorkloadSubjects(WorkloadAttestor attestor, IdentityCache cache, ClientLedger clients, AgentMetrics metrics, TimeProvider time, ILogger<WorkloadSubjects> log)
{
    /// <summary>Attests the caller, counts it and tells what it gets.</summary>
    /// <exception cref="RpcException">UNAVAILABLE: the caller could not be attested.</exception>
    public WorkloadSubject Of(ServerCallContext context)
    {
        var subject = Attest(context);
        Report(subject);
        return subject;
    }

    /// <summary>Attests the caller.</summary>
    /// <exception cref="RpcException">UNAVAILABLE: the caller could not be attested.</exception>
    public WorkloadSubject Attest(ServerCallContext context)
    {
        var peer = context.PeerCredential();
        var verdict = attestor.Attest(peer);
        if (!verdict.IsAttested)
        {
            metrics.Attested("failed");
            throw new RpcException(new Status(StatusCode.Unavailable, "the calling process could not be attested"));
        }

        return new WorkloadSubject(peer, verdict.Selectors, cache, clients, time);
    }

    private void Report(WorkloadSubject subject)
    {
        var selectors = string.Join(' ', subject.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal));
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
