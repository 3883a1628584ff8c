using Grpc.Core;
using Signet.Authority.Rotation;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Bundle;

namespace Signet.Server.Api;

/// <summary>spire.api.server.bundle.v1.Bundle.</summary>
internal sealed class BundleService(AuthorityRotation authorities) : Bundle.BundleBase
{
    public override Task<Rpc.Wire.Spire.Types.Bundle> GetBundle(GetBundleRequest request, ServerCallContext context) =>
        Task.FromResult(Of(authorities.Current));

    /// <summary>What relying parties must trust at one moment.</summary>
    public static Rpc.Wire.Spire.Types.Bundle Of(AuthoritySnapshot authorities) => authorities.Bundle.ToWire(authorities.JwtBundle);
}
