using Microsoft.Extensions.Logging;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Identity.Rotation;
using Signet.Server.Attestation;
using Signet.Server.Storage;

namespace Signet.Server.Upkeep;

/// <summary>
/// What must be done again and again: turn the authorities, renew the server's own identity, forget stale tokens. Nothing here ends the
/// server; a turn that fails is told and tried again at the next tick.
/// </summary>
internal sealed class ServerUpkeep(
    ServerConfig config, AuthorityRotation authorities, ServerIdentity identity, ChangeSignal bundleChanges, IJoinTokenStore tokens, ReadinessBoard readiness, TimeProvider time, ILogger<ServerUpkeep> log)
{
    private const string Condition = "authority";
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromMinutes(10);

    private DateTimeOffset _pruneAt = DateTimeOffset.MinValue;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        WarnAboutLifetimes();
        log.ServerReady(config.TrustDomain.Name, config.Listen.ToString(), config.AdminSocket);
        using var timer = new PeriodicTimer(Tick, time);
        do
        {
            try
            {
                await TurnAsync(cancellationToken).ConfigureAwait(false);
                readiness.Set(Condition, Readiness.Ready);
            }
            catch (Exception e) when (e is StoreException or KeyManagerException or IssuanceException or IOException)
            {
                log.RotationFailed(e.Message);
                readiness.Set(Condition, CanSign() ? Readiness.Ready : Readiness.NotReady(e.Message));
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
    }

    private async Task TurnAsync(CancellationToken cancellationToken)
    {
        var turn = await authorities.TurnAsync(cancellationToken).ConfigureAwait(false);
        if (turn is { Step: not RotationStep.Wait, Authority: { } authority })
        {
            log.AuthorityTurned(turn.Step == RotationStep.Prepare ? "prepared" : "activated", authority.Id, authority.Validity.NotAfter);
            bundleChanges.Raise();
        }

        if (await identity.RenewIfDueAsync(cancellationToken).ConfigureAwait(false))
        {
            log.ServerIdentityRenewed(identity.Current.Svid.Leaf.SerialHex, identity.Current.Svid.NotAfter);
        }

        if (time.GetUtcNow() >= _pruneAt)
        {
            await tokens.PruneAsync(time.GetUtcNow(), cancellationToken).ConfigureAwait(false);
            _pruneAt = time.GetUtcNow() + PruneEvery;
        }
    }

    private bool CanSign() => time.GetUtcNow() <= authorities.Current.Issuing.Certificate.NotAfter;

    private void WarnAboutLifetimes()
    {
        if (config.X509Ttl > config.Authority.GuaranteedSvidTtl)
        {
            var advice = config.X509Ttl / config.Authority.Rule.ActivateFraction;
            log.SvidTtlAboveGuarantee(DurationText.Format(config.X509Ttl), DurationText.Format(config.Authority.GuaranteedSvidTtl), DurationText.Format(advice));
        }
    }
}
