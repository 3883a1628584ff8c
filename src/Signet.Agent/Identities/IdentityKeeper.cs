using System.Collections.Immutable;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;

namespace Signet.Agent.Identities;

/// <summary>
/// Turns <see cref="SvidChoice"/> and <see cref="SvidPlan"/> into deeds: asks the server for what is due, keeps what is still valid when that fails,
/// tries again with a growing pause. Owns the cache; one task.
/// </summary>
internal sealed class IdentityKeeper(
    NodeSync sync,
    ServerLink server,
    IdentityCache cache,
    ClientLedger clients,
    CacheConfig limits,
    RenewalRule renewal,
    AgentMetrics metrics,
    TimeProvider time,
    Func<double> chance,
    ILogger<IdentityKeeper> log)
{
    /// <summary>So many SVIDs are asked for in one call at most; fewer while the server says that it is too much.</summary>
    private const int LargestBatch = 200;

    /// <summary>No wait is longer, so that a clock that jumped or a machine that slept is noticed soon.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    /// <summary>An entry that the server refused is asked for again after this time.</summary>
    private static readonly TimeSpan AfterRefusal = TimeSpan.FromSeconds(10);

    /// <summary>Full jitter: after an outage everybody waits for the same server.</summary>
    private static readonly BackoffRule Again = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), Least: 0.05);

    /// <summary>What so many entries more or less leave behind is given back to the system once it is quiet.</summary>
    private const int Bulk = 5000;

    private readonly Backoff _pause = new(Again, chance);
    private readonly Dictionary<string, DateTimeOffset> _refusedAt = new(StringComparer.Ordinal);
    private ImmutableDictionary<string, string> _refusals = ImmutableDictionary<string, string>.Empty;
    private int _batch = LargestBatch;
    private int _withoutRoom;
    private int _settledEntries;

    /// <summary>By the entry's ID, why the server signed nothing for it when it was last asked. Thread-safe.</summary>
    public IReadOnlyDictionary<string, string> Refusals => Volatile.Read(ref _refusals);

    /// <summary>How many SVIDs that workloads wait for have no room.</summary>
    public int WithoutRoom => Volatile.Read(ref _withoutRoom);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var heard = sync.Changes.Version;
        var (rest, restBegan) = (TimeSpan.Zero, time.GetTimestamp());
        while (!cancellationToken.IsCancellationRequested)
        {
            var (news, wanted, now) = (sync.Changes.Version, cache.Wanted.Version, time.GetUtcNow());
            var view = sync.Current;
            var choice = SvidChoice.Of(view, cache.Current.Held, clients.Subscribed(), cache.Recent, limits, now);
            var plan = SvidPlan.Of(view, choice.Entries, cache.Current.Held, now);
            TellRoom(choice);
            PublishIfChanged(view, plan.Keep);
            if (news == heard && plan.Due.IsEmpty)
            {
                GiveBack(view);
            }

            if (news != heard)
            {
                // Whatever is new, the server may have come back: but after an outage what can wait should.
                rest = sync.Problem.Length == 0 && _pause.Failures > 0 ? plan.EaseAfterOutage(sync.Spread, chance(), now) : TimeSpan.Zero;
                (heard, restBegan) = (news, time.GetTimestamp());
            }

            var batch = server.Batch(plan.Due.Where(entry => !IsResting(entry, now)).Take(_batch));
            var wait = plan.NextAt is { } next && next - now < LongestWait ? next - now : LongestWait;
            if (batch.Length > 0)
            {
                var left = rest - time.GetElapsedTime(restBegan);
                if (left <= TimeSpan.Zero)
                {
                    if (await SignAsync(batch, cancellationToken).ConfigureAwait(false) is { } signed)
                    {
                        _pause.Reset();
                        PublishIfChanged(view, plan.Keep.SetItems(signed));
                        continue;
                    }

                    (rest, restBegan) = (_pause.Next(), time.GetTimestamp());
                    left = rest;
                }

                wait = left < LongestWait ? left : LongestWait;
            }
            else if (plan.Due.Length > 0)
            {
                wait = AfterRefusal;
            }

            await WaitAsync(news, wanted, wait, cancellationToken).ConfigureAwait(false);
        }
    }

    // The runtime would keep what it needed for a moment; a node has other uses for it.
    private void GiveBack(NodeView view)
    {
        if (Math.Abs(view.Entries.Length - _settledEntries) >= Bulk)
        {
            _settledEntries = view.Entries.Length;
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
        }
    }

    // A clock that was set back must not make the rest longer.
    private bool IsResting(RegistrationEntry entry, DateTimeOffset now) => _refusedAt.TryGetValue(entry.Id, out var at) && (now - at).Duration() < AfterRefusal;

    /// <summary>Asks for one batch.</summary>
    /// <returns>What was signed, which may be less than was asked for; null when the server could not be asked.</returns>
    private async Task<IReadOnlyDictionary<string, HeldSvid>?> SignAsync(RegistrationEntry[] batch, CancellationToken cancellationToken)
    {
        var refused = new Dictionary<string, string>(StringComparer.Ordinal);
        metrics.Asked();
        try
        {
            var signed = await server.SignAsync(batch, refused, cancellationToken).ConfigureAwait(false);
            var now = time.GetUtcNow();
            var held = new Dictionary<string, HeldSvid>(StringComparer.Ordinal);
            foreach (var entry in batch.Where(entry => signed.ContainsKey(entry.Id)))
            {
                var svid = signed[entry.Id];
                var validity = svid.Validity;
                if (!validity.Covers(now))
                {
                    refused[entry.Id] = $"the certificate is valid from {validity.NotBefore:u} to {validity.NotAfter:u}, but this node's clock says {now:u}";
                    continue;
                }

                held[entry.Id] = new HeldSvid(entry, svid, renewal.DueAt(validity, now, chance()));
                log.SvidRenewed(svid.Id.Uri, svid.Leaf.SerialHex, svid.NotAfter);
            }

            Volatile.Write(ref _refusals, _refusals.RemoveRange(held.Keys).SetItems(refused));
            foreach (var entry in _refusedAt.Where(one => (now - one.Value).Duration() >= AfterRefusal).Select(one => one.Key).ToArray())
            {
                _refusedAt.Remove(entry);
            }

            foreach (var (entry, reason) in refused)
            {
                _refusedAt[entry] = now;
                log.SigningRefused(entry, reason);
            }

            TellLifetimes(held.Values, now);
            metrics.Renewed(held.Count);
            _batch = Math.Min(LargestBatch, _batch * 2);
            return held;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            if (e is RpcException { StatusCode: StatusCode.ResourceExhausted or StatusCode.DeadlineExceeded })
            {
                _batch = Math.Max(1, batch.Length / 2);
            }

            metrics.RenewalFailed();
            log.SigningFailed(batch.Length, e is RpcException rpc ? server.Explain(rpc) : e.Message);
            return null;
        }
    }

    private async Task WaitAsync(long news, long wanted, TimeSpan wait, CancellationToken cancellationToken)
    {
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(sync.Changes.WaitAsync(news, wait, time, woken.Token), cache.Wanted.WaitAsync(wanted, woken.Token)).ConfigureAwait(false);
        await woken.CancelAsync().ConfigureAwait(false);
    }

    private void TellLifetimes(IEnumerable<HeldSvid> signed, DateTimeOffset now)
    {
        if (signed.Where(held => !renewal.IsMetBy(held.Svid.NotAfter - now)).MinBy(held => held.Svid.NotAfter) is { } shortest)
        {
            var target = renewal.AvailabilityTarget!.Value;
            log.AvailabilityOutOfReach(shortest.Svid.Id.Uri, DurationText.Format(shortest.Svid.NotAfter - now), DurationText.Format(target), DurationText.Format(RenewalRule.LifetimeFor(target)));
        }
    }

    private void TellRoom(SvidChoice choice)
    {
        if (choice.Refused > 0 && WithoutRoom == 0)
        {
            log.CacheFull(choice.Refused, limits.Svids, limits.Bytes);
        }

        Volatile.Write(ref _withoutRoom, choice.Refused);
    }

    private void PublishIfChanged(NodeView view, ImmutableDictionary<string, HeldSvid> held)
    {
        var current = cache.Current;
        if (current.View != view || current.Held.Count != held.Count || held.Any(pair => !IsSame(current.Held.GetValueOrDefault(pair.Key), pair.Value)))
        {
            cache.Publish(new IdentitySnapshot(view, held));
        }
    }

    // The moment of renewal counts too: once it has been brought forward it must stay there.
    private static bool IsSame(HeldSvid? one, HeldSvid other) => one?.Svid == other.Svid && one.RenewAt == other.RenewAt;
}
