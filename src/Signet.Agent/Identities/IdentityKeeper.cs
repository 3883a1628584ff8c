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
    private const int BatchSize = 200;
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

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
            var wait = plan.NextAt is { } next && next - now < Longest ? next - now : Longest;
            if (plan.Due.Length > 0)
            {
                var signed = await SignAsync(plan.Due, cancellationToken).ConfigureAwait(false);
                if (signed is not null)
                {
                    pause.Reset();
                    PublishIfChanged(view, plan.Keep.SetItems(signed));
                }

                // Whatever is still due after an answer was refused by name; ask for it again, but not at once.
                if (signed is null || signed.Count < plan.Due.Length)
                {
                    wait = pause.Next();
                }
                else
                {
                    continue;
                }
            }

            await WaitAsync(seen, wait, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<IReadOnlyDictionary<string, HeldSvid>?> SignAsync(ImmutableArray<RegistrationEntry> due, CancellationToken cancellationToken)
    {
        var batch = due.Take(BatchSize).ToArray();
        var refused = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            var signed = await server.SignAsync(batch, refused, cancellationToken).ConfigureAwait(false);
            foreach (var (entry, reason) in refused)
            {
                log.SigningRefused(entry, reason);
            }

            var held = new Dictionary<string, HeldSvid>(StringComparer.Ordinal);
            foreach (var entry in batch.Where(entry => signed.ContainsKey(entry.Id)))
            {
                var svid = signed[entry.Id];
                held[entry.Id] = new HeldSvid(entry, svid, SvidRenewal.DueAt(new Validity(svid.NotBefore, svid.NotAfter), chance()));
                log.SvidRenewed(svid.Id.Uri, svid.Leaf.SerialHex, svid.NotAfter);
            }

            metrics.Renewed(held.Count);
            return held;
        }
        catch (RpcException e)
        {
            metrics.RenewalFailed();
            log.SigningFailed(batch.Length, server.Explain(e));
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
        if (current.View != view || current.Held.Count != held.Count || held.Any(pair => current.Held.GetValueOrDefault(pair.Key)?.Svid != pair.Value.Svid))
        {
            cache.Publish(new IdentitySnapshot(view, held));
        }
    }
}
