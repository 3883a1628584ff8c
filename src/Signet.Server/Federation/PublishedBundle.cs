using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Rpc.Wire;
using Signet.Server.Api;

namespace Signet.Server.Federation;

/// <summary>
/// The own trust domain's bundle as others get it: always the newest, under the sequence number that grows with every change of its keys, across
/// restarts too (SPIFFE Trust Domain and Bundle §4.1.1), and with the hint how often to look again. Thread-safe.
/// </summary>
internal sealed class PublishedBundle(AuthorityRotation authorities, TimeSpan refreshHint)
{
    /// <summary>The bundle as it is now.</summary>
    public SpiffeBundle Current
    {
        get
        {
            var now = authorities.Current;
            return SpiffeBundle.Of(now.Bundle, now.JwtBundle).With(now.WitBundle).As(now.Bundle.Sequence, refreshHint);
        }
    }

    /// <summary>The same on the wire, with a mark at what is being replaced.</summary>
    public Rpc.Wire.Spire.Types.Bundle Marked
    {
        get
        {
            var wire = BundleService.Of(authorities.Current);
            wire.RefreshHint = (long)refreshHint.TotalSeconds;
            return wire;
        }
    }
}
