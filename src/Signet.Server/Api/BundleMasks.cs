using Grpc.Core;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Federation;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;

namespace Signet.Server.Api;

/// <summary>What masks, pages and outcomes of the two federation services have in common.</summary>
internal static class BundleMasks
{
    /// <summary>The fields that an output mask names; without one, all.</summary>
    public static Bundle Only(this Bundle bundle, BundleMask? mask) => mask is null ? bundle : new Bundle { TrustDomain = bundle.TrustDomain }.With(bundle, mask);

    /// <summary>The same bundle with the fields that a mask names taken from another.</summary>
    public static Bundle With(this Bundle bundle, Bundle other, BundleMask mask)
    {
        var (x509, jwt, wit) = (mask.X509Authorities ? other : bundle, mask.JwtAuthorities ? other : bundle, mask.WitAuthorities ? other : bundle);
        var changed = new Bundle
        {
            TrustDomain = bundle.TrustDomain,
            RefreshHint = mask.RefreshHint ? other.RefreshHint : bundle.RefreshHint,
            SequenceNumber = mask.SequenceNumber ? other.SequenceNumber : bundle.SequenceNumber,
        };
        changed.X509Authorities.AddRange(x509.X509Authorities);
        changed.JwtAuthorities.AddRange(jwt.JwtAuthorities);
        changed.WitAuthorities.AddRange(wit.WitAuthorities);
        return changed;
    }

    public static WireStatus ToWire(this FederationResult result) => new()
    {
        Code = (int)(result.Outcome switch
        {
            FederationOutcome.Done => StatusCode.OK,
            FederationOutcome.AlreadyExists => StatusCode.AlreadyExists,
            FederationOutcome.NotFound => StatusCode.NotFound,
            FederationOutcome.Hindered => StatusCode.FailedPrecondition,
            _ => StatusCode.InvalidArgument,
        }),
        Message = result.Reason,
    };
}
