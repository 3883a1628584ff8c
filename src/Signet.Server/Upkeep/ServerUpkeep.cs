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
    AuthorityCare care,
    ChangeSignal bundleChanges,
    Func<DateTimeOffset, CancellationToken, Task> prune,
    ReadinessBoard readiness,
    GrpcHealthService health,
    bool isClockPlausible,
    TimeProvider time,
    ILogger<ServerUpkeep> log)
{
    private const string Condition = "authority";

    private static readonly (AuthorityTier Tier, string Duty)[] Rotations =
        [(AuthorityTier.Issuing, "rotation of the issuing authority"), (AuthorityTier.Jwt, "rotation of the JWT key"), (AuthorityTier.Wit, "rotation of the WIT key"), (AuthorityTier.Anchor, "forgetting of expired anchors")];

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromMinutes(10);

    private readonly ClockWatch _clock = new(time, isClockPlausible);
    private readonly Dictionary<string, string> _failing = new(StringComparer.Ordinal);
    private DateTimeOffset _pruneAt = DateTimeOffset.MinValue;
    private string _keyProblem = "";

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        WarnAboutLifetimes();
        log.ServerReady(config.TrustDomain.Name, config.Listen.ToString(), config.AdminSocket);
        using var timer = new PeriodicTimer(Tick, time);
        do
        {
            LookAtClock();
            if (care.Upstream is { } upstream)
            {
                await TryAsync("taking over the issuing authority from upstream", upstream.TurnAsync, cancellationToken).ConfigureAwait(false);
                await TryAsync("taking over what the anchor revoked", upstream.TurnListAsync, cancellationToken).ConfigureAwait(false);
            }

            foreach (var (tier, duty) in Rotations)
            {
                await TryAsync(duty, stop => TurnAsync(tier, stop), cancellationToken).ConfigureAwait(false);
            }

            await TryAsync("rotation of the anchor", stop => care.Anchor.TurnAsync(_clock.IsSettled, stop), cancellationToken).ConfigureAwait(false);
            await TryAsync("renewal of the server's own identity", RenewAsync, cancellationToken).ConfigureAwait(false);
            await TryAsync("pruning of the store", PruneAsync, cancellationToken).ConfigureAwait(false);
            TellOfKeys();
            care.Expiry.Look(time.GetUtcNow());
            ShowReadiness();
        }
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
    }

    private void TellOfKeys()
    {
        var problem = authorities.KeyProblem;
        if (problem != _keyProblem && problem.Length > 0)
        {
            log.KeyNotDeleted(problem);
        }

        _keyProblem = problem;
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

    private void LookAtClock()
    {
        var jump = _clock.Look();
        if (jump != TimeSpan.Zero)
        {
            log.ClockJumped(jump, ClockWatch.Settling);
        }
    }

    private async Task TurnAsync(AuthorityTier tier, CancellationToken cancellationToken)
    {
        var before = authorities.Current.Bundle.Sequence;
        try
        {
            var turn = await authorities.TurnAsync(tier, _clock.IsSettled, cancellationToken).ConfigureAwait(false);
            if (turn.Authority is { } authority)
            {
                log.AuthorityTurned(Past(turn.Step), authority.Tier, authority.Id, authority.Validity.NotAfter);
            }
        }
        finally
        {
            // A turn that failed may have changed something before.
            if (authorities.Current.Bundle.Sequence != before)
            {
                care.Acknowledgements.Published();
                bundleChanges.Raise();
            }
        }
    }

    private static string Past(RotationStep step) => step switch
    {
        RotationStep.Prepare => "prepared",
        RotationStep.Activate => "activated",
        _ => "expired and forgotten",
    };

    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        if (await identity.RenewIfDueAsync(cancellationToken).ConfigureAwait(false))
        {
            log.ServerIdentityRenewed(identity.Current.Svid.Leaf.SerialHex, identity.Current.Svid.NotAfter);
        }
    }

    private async Task PruneAsync(CancellationToken cancellationToken)
    {
        // Under a wrong clock everything looks old. One that was set back must not put the next time off for long either.
        var left = _pruneAt - time.GetUtcNow();
        if (_clock.IsSettled && (left <= TimeSpan.Zero || left > PruneEvery))
        {
            care.Acknowledgements.Prune();
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
        if (!config.Authority.IsExternal && config.X509Ttl > config.Authority.GuaranteedSvidTtl)
        {
            var advice = config.X509Ttl / config.Authority.Rule.ActivateFraction;
            log.SvidTtlAboveGuarantee(DurationText.Format(config.X509Ttl), DurationText.Format(config.Authority.GuaranteedSvidTtl), DurationText.Format(advice));
        }
    }
}
