using Grpc.Core;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Bundle;

namespace Signet.Server.Api;

/// <summary>spire.api.server.bundle.v1.Bundle.</summary>
internal sealed class BundleService(AuthorityRotation authorities) : Bundle.BundleBase
{
    public override Task<Rpc.Wire.Spire.Types.Bundle> GetBundle(GetBundleRequest request, ServerCallContext context) =>
        Task.FromResult(Of(authorities.Current));

    /// <summary>What relying parties must trust at one moment, with a mark at what is being replaced.</summary>
    public static Rpc.Wire.Spire.Types.Bundle Of(AuthoritySnapshot authorities)
    {
        var wire = authorities.Bundle.ToWire(authorities.JwtBundle);
        foreach (var (anchor, record) in wire.X509Authorities.Zip(authorities.Ledger.Anchors))
        {
            anchor.Tainted = record.State is SlotState.Old or SlotState.Tainted;
        }

        foreach (var key in wire.JwtAuthorities)
        {
            key.Tainted = authorities.Superseded.Contains(key.KeyId);
        }

        return wire;
    }
}
