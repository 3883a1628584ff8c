using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Hosting.Grpc;
using Signet.Identity.Rotation;
using Signet.Rpc.Wire.Health;

namespace Signet.Server.Upkeep;

/// <summary>
/// What must be done again and again: turn the authorities, renew the server's own identity, forget what is stale. Each duty stands for
/// itself: one that fails is told once, tried again at the next tick, and holds back no other. Nothing here ends the server.
/// </summary>
internal sealed class ServerUpkeep(
    ServerConfig config,
    AuthorityRotation authorities,
    ServerIdentity identity,
    ChangeSignal bundleChanges,
    Func<DateTimeOffset, CancellationToken, Task> prune,
    ReadinessBoard readiness,
    GrpcHealthService health,
    TimeProvider time,
    ILogger<ServerUpkeep> log)
{
    private const string Condition = "authority";
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromMinutes(10);

    private readonly Dictionary<string, string> _failing = new(StringComparer.Ordinal);
    private DateTimeOffset _pruneAt = DateTimeOffset.MinValue;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        WarnAboutLifetimes();
        log.ServerReady(config.TrustDomain.Name, config.Listen.ToString(), config.AdminSocket);
        using var timer = new PeriodicTimer(Tick, time);
        do
        {
            await TryAsync("authority rotation", stop => TurnAsync(authorities.TurnAsync, "", stop), cancellationToken).ConfigureAwait(false);
            await TryAsync("JWT key rotation", stop => TurnAsync(authorities.TurnJwtAsync, "JWT ", stop), cancellationToken).ConfigureAwait(false);
            await TryAsync("renewal of the server's own identity", RenewAsync, cancellationToken).ConfigureAwait(false);
            await TryAsync("pruning of the store", PruneAsync, cancellationToken).ConfigureAwait(false);
            ShowReadiness();
        }
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
    }

    private async Task TryAsync(string duty, Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        try
        {
            await work(cancellationToken).ConfigureAwait(false);
            _failing.Remove(duty);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            if (_failing.GetValueOrDefault(duty) != e.Message)
            {
                _failing[duty] = e.Message;
                log.UpkeepFailed(duty, e.Message);
            }
        }
    }

    private async Task TurnAsync(Func<CancellationToken, Task<RotationTurn>> turnAsync, string kind, CancellationToken cancellationToken)
    {
        var before = authorities.Current.JwtBundle;
        var turn = await turnAsync(cancellationToken).ConfigureAwait(false);
        if (turn is { Step: not RotationStep.Wait, Authority: { } authority })
        {
            log.AuthorityTurned(turn.Step == RotationStep.Prepare ? "prepared" : "activated", kind + authority.Id, authority.Validity.NotAfter);
            bundleChanges.Raise();
        }
        else if (!authorities.Current.JwtBundle.Equals(before))
        {
            // A key that has expired is no longer published.
            bundleChanges.Raise();
        }
    }

    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        if (await identity.RenewIfDueAsync(cancellationToken).ConfigureAwait(false))
        {
            log.ServerIdentityRenewed(identity.Current.Svid.Leaf.SerialHex, identity.Current.Svid.NotAfter);
        }
    }

    private async Task PruneAsync(CancellationToken cancellationToken)
    {
        if (time.GetUtcNow() >= _pruneAt)
        {
            await prune(time.GetUtcNow(), cancellationToken).ConfigureAwait(false);
            _pruneAt = time.GetUtcNow() + PruneEvery;
        }
    }

    private void ShowReadiness()
    {
        var now = time.GetUtcNow();
        var issuer = authorities.Current.Issuing.Certificate;
        var state = !new Validity(issuer.NotBefore, issuer.NotAfter).Covers(now) ? Readiness.NotReady($"the issuing authority is valid from {issuer.NotBefore:u} to {issuer.NotAfter:u}; it is {now:u}")
            : !identity.IsValid(now) ? Readiness.NotReady("the server's own certificate is not valid now")
            : Readiness.Ready;
        readiness.Set(Condition, state);
        health.Set("", state.IsReady ? HealthCheckResponse.Types.ServingStatus.Serving : HealthCheckResponse.Types.ServingStatus.NotServing);
    }

    private void WarnAboutLifetimes()
    {
        if (config.X509Ttl > config.Authority.GuaranteedSvidTtl)
        {
            var advice = config.X509Ttl / config.Authority.Rule.ActivateFraction;
            log.SvidTtlAboveGuarantee(DurationText.Format(config.X509Ttl), DurationText.Format(config.Authority.GuaranteedSvidTtl), DurationText.Format(advice));
        }
    }
}
