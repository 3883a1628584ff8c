using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting.Configuration;
using Signet.Identity.Rotation;
using Signet.Server.Upstream;

namespace Signet.Server.Upkeep;

/// <summary>Warns ahead of time, once per step, that an authority in use is about to expire. One caller.</summary>
internal sealed class ExpiryWatch(UpstreamConfig? upstream, AuthorityRotation authorities, ILogger<ExpiryWatch> log)
{
    private readonly Dictionary<string, int> _warned = new(StringComparer.Ordinal);

    public void Look(DateTimeOffset now)
    {
        foreach (var authority in authorities.Current.Records.Where(record => record.State == SlotState.Active))
        {
            var isByHand = authority.Tier == AuthorityTier.Anchor || (authority.Tier == AuthorityTier.Issuing && upstream is UpstreamConfig.Folder);
            var level = (isByHand ? ExpiryWarning.ByHand : ExpiryWarning.Automatic).LevelOf(authority.Validity, now);
            if (level > _warned.GetValueOrDefault(authority.Id))
            {
                log.AuthorityExpires(authority.Tier, authority.Id, DurationText.Format(Whole(authority.Validity.Remaining(now))), Advice(authority.Tier));
            }

            _warned[authority.Id] = level;
        }
    }

    private static TimeSpan Whole(TimeSpan remaining) => TimeSpan.FromSeconds(Math.Max(0, Math.Floor(remaining.TotalSeconds)));

    private string Advice(AuthorityTier tier) => upstream is not null && tier is (AuthorityTier.Anchor or AuthorityTier.Issuing)
        ? upstream.Advice
        : tier == AuthorityTier.Anchor
        ? "its rotation begins by itself in time; to choose the moment, run: signet authority rotate --anchor; whoever outside the mesh trusts it needs the new one: signet bundle show"
        : "it should have been replaced by now; see what the log says about its rotation";
}
