using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Server.Telemetry;

namespace Signet.Server.Federation;

/// <summary>What one attempt to fetch a bundle came to, and why when it failed.</summary>
public readonly record struct RefreshResult(RefreshOutcome Outcome, string Reason);

public enum RefreshOutcome
{
    /// <summary>A newer bundle was taken.</summary>
    Changed,

    /// <summary>The bundle is the one that is kept.</summary>
    Unchanged,

    /// <summary>What was served is older than what is kept.</summary>
    Older,

    /// <summary>There was no answer, or none that holds.</summary>
    Failed,

    /// <summary>The endpoint was not asked: there is no bundle by which it could be recognised.</summary>
    LacksTrust,
}

/// <summary>Asks an endpoint once.</summary>
public delegate Task<FetchedBundle> FetchBundle(FederationRelationship relationship, CancellationToken cancellationToken);

/// <summary>
/// Keeps the bundles of all relationships fresh, one task each, so that an endpoint that hangs holds back no other: fetches at the start and then as
/// often as the publisher hints; a failure waits for the next turn and changes nothing (Federation §4.1, §6.2).
/// </summary>
internal sealed class BundleRefresher(
    FederationRelationships relationships, FederatedBundles bundles, FetchBundle fetch, FederationMetrics metrics, TimeProvider time, ILogger<BundleRefresher> log)
{
    private const int MaxAtOnce = 16;

    private readonly ConcurrentDictionary<TrustDomain, string> _failing = new();

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var turns = new SemaphoreSlim(MaxAtOnce);
        var watches = new Dictionary<FederationRelationship, Watch>();
        try
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                var seen = relationships.Changes.Version;
                var wanted = relationships.Current.Values.ToHashSet();
                foreach (var gone in watches.Keys.Where(known => !wanted.Contains(known)).ToArray())
                {
                    watches.Remove(gone, out var watch);
                    await watch!.DisposeAsync().ConfigureAwait(false);
                    Forget(gone.TrustDomain);
                }

                foreach (var fresh in wanted.Where(one => !watches.ContainsKey(one)))
                {
                    watches.Add(fresh, new Watch(stop => FollowAsync(fresh, turns, stop), cancellationToken));
                }

                await relationships.Changes.WaitAsync(seen, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            foreach (var watch in watches.Values)
            {
                await watch.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Fetches once, now.</summary>
    public async Task<RefreshResult> RefreshAsync(FederationRelationship relationship, CancellationToken cancellationToken)
    {
        var fetched = await fetch(relationship, cancellationToken).ConfigureAwait(false);
        var result = fetched.Bundle is null ? new RefreshResult(fetched.LacksTrust ? RefreshOutcome.LacksTrust : RefreshOutcome.Failed, fetched.Problem)
            : await bundles.OfferAsync(fetched.Bundle, cancellationToken).ConfigureAwait(false) switch
            {
                BundleStep.Take => new RefreshResult(RefreshOutcome.Changed, ""),
                BundleStep.Keep => new RefreshResult(RefreshOutcome.Unchanged, ""),
                _ => new RefreshResult(
                    RefreshOutcome.Older,
                    $"it served sequence {fetched.Bundle.Sequence}, but {bundles.Find(relationship.TrustDomain)?.Sequence} was served before; if the trust domain was founded anew, use: signet bundle set"),
            };
        Report(relationship, result);
        return result;
    }

    private async Task FollowAsync(FederationRelationship relationship, SemaphoreSlim turns, CancellationToken cancellationToken)
    {
        while (true)
        {
            var seen = bundles.Changes.Version;
            var lacksTrust = false;
            await turns.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                lacksTrust = (await RefreshAsync(relationship, cancellationToken).ConfigureAwait(false)).Outcome == RefreshOutcome.LacksTrust;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                // The store could not keep it; what was kept before still counts.
                Report(relationship, new RefreshResult(RefreshOutcome.Failed, e.Message));
            }
            finally
            {
                turns.Release();
            }

            // An endpoint that can't be recognised is asked as soon as there may be a bundle to recognise it by; nobody else is asked before the time.
            using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var turn = Task.Delay(RefreshInterval.Of(bundles.Find(relationship.TrustDomain)?.RefreshHint), time, woken.Token);
            await (lacksTrust ? Task.WhenAny(turn, bundles.Changes.WaitAsync(seen, woken.Token)) : turn).ConfigureAwait(false);
            await woken.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private void Report(FederationRelationship relationship, RefreshResult result)
    {
        var trustDomain = relationship.TrustDomain;
        metrics.Refreshed(trustDomain, result.Outcome, time.GetUtcNow());
        if (result.Outcome is not (RefreshOutcome.Changed or RefreshOutcome.Unchanged))
        {
            // Told once, and again when the reason changes.
            if (_failing.GetValueOrDefault(trustDomain) != result.Reason)
            {
                _failing[trustDomain] = result.Reason;
                log.BundleNotRefreshed(trustDomain.Name, relationship.Url.ToString(), result.Reason);
            }

            return;
        }

        _failing.TryRemove(trustDomain, out _);
        if (result.Outcome == RefreshOutcome.Changed && bundles.Find(trustDomain) is { } bundle)
        {
            log.BundleRefreshed(
                trustDomain.Name, bundle.Sequence, bundle.X509.Authorities.Count, bundle.Jwt.Authorities.Count, DurationText.Format(RefreshInterval.Of(bundle.RefreshHint)));
        }
    }

    private void Forget(TrustDomain trustDomain)
    {
        if (relationships.Find(trustDomain) is null)
        {
            _failing.TryRemove(trustDomain, out _);
            metrics.Forget(trustDomain);
        }
    }

    /// <summary>A task that can be ended by itself.</summary>
    private sealed class Watch : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop;
        private readonly Task _running;

        public Watch(Func<CancellationToken, Task> run, CancellationToken cancellationToken)
        {
            _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            _running = Task.Run(() => run(_stop.Token), CancellationToken.None);
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
        }
    }
}
