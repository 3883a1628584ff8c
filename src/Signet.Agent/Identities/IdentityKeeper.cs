using System.Collections.Immutable;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Telemetry;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;

namespace Signet.Agent.Identities;

/// <summary>
/// Turns <see cref="SvidPlan"/> into deeds: asks the server for what is due, keeps what is still valid when that fails, tries again with
/// a growing pause. Owns the cache; one task.
/// </summary>
internal sealed class IdentityKeeper(NodeSync sync, ServerLink server, IdentityCache cache, AgentMetrics metrics, TimeProvider time, Func<double> chance, ILogger<IdentityKeeper> log)
{
    /// <summary>No wait is longer, so that a clock that jumped or a machine that slept is noticed soon.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    /// <summary>An entry that the server refused is asked for again after this time.</summary>
    private static readonly TimeSpan AfterRefusal = TimeSpan.FromSeconds(10);

    private readonly Dictionary<string, DateTimeOffset> _refusedUntil = new(StringComparer.Ordinal);
    private ImmutableDictionary<string, string> _refusals = ImmutableDictionary<string, string>.Empty;

    /// <summary>By the entry's ID, why the server signed nothing for it when it was last asked. Thread-safe.</summary>
    public IReadOnlyDictionary<string, string> Refusals => Volatile.Read(ref _refusals);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = new Backoff(new BackoffRule(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30)), chance);
        while (!cancellationToken.IsCancellationRequested)
        {
            var seen = sync.Changes.Version;
            var now = time.GetUtcNow();
            var view = sync.Current;
            var plan = SvidPlan.Of(view, cache.Current.Held, now);
            PublishIfChanged(view, plan.Keep);
            var batch = server.Batch(plan.Due.Where(entry => !(_refusedUntil.TryGetValue(entry.Id, out var until) && now < until)));
            var wait = plan.NextAt is { } next && next - now < LongestWait ? next - now : LongestWait;
            if (batch.Length > 0)
            {
                if (await SignAsync(batch, cancellationToken).ConfigureAwait(false) is { } signed)
                {
                    pause.Reset();
                    PublishIfChanged(view, plan.Keep.SetItems(signed));
                    continue;
                }

                wait = pause.Next();
            }
            else if (plan.Due.Length > 0)
            {
                wait = AfterRefusal;
            }

            await WaitAsync(seen, wait, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Asks for one batch.</summary>
    /// <returns>What was signed, which may be less than was asked for; null when the server could not be asked.</returns>
    private async Task<IReadOnlyDictionary<string, HeldSvid>?> SignAsync(RegistrationEntry[] batch, CancellationToken cancellationToken)
    {
        var refused = new Dictionary<string, string>(StringComparer.Ordinal);
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

                held[entry.Id] = new HeldSvid(entry, svid, SvidRenewal.DueAt(validity, now, chance()));
                log.SvidRenewed(svid.Id.Uri, svid.Leaf.SerialHex, svid.NotAfter);
            }

            Volatile.Write(ref _refusals, _refusals.RemoveRange(held.Keys).SetItems(refused));
            foreach (var (entry, reason) in refused)
            {
                _refusedUntil[entry] = now + AfterRefusal;
                log.SigningRefused(entry, reason);
            }

            metrics.Renewed(held.Count);
            return held;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            metrics.RenewalFailed();
            log.SigningFailed(batch.Length, e is RpcException rpc ? server.Explain(rpc) : e.Message);
            return null;
        }
    }

    private async Task WaitAsync(long seen, TimeSpan wait, CancellationToken cancellationToken)
    {
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, time, woken.Token);
        await Task.WhenAny(delay, sync.Changes.WaitAsync(seen, woken.Token)).ConfigureAwait(false);
        await woken.CancelAsync().ConfigureAwait(false);
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
