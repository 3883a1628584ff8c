using Grpc.Core;
using Signet.Authority.Rotation;
using Signet.Rpc.Wire.Authority;
using WireAuthority = Signet.Rpc.Wire.Authority.Authority;

namespace Signet.Server.Api;

/// <summary>signet.authority.v1.Authorities.</summary>
internal sealed class AuthoritiesService(AuthorityRotation authorities) : Authorities.AuthoritiesBase
{
    public override Task<ListResponse> List(ListRequest request, ServerCallContext context)
    {
        var ledger = authorities.Current.Ledger;
        var response = new ListResponse();
        response.Authorities.AddRange(ledger.Records.Select(record => new WireAuthority
        {
            Id = record.Id,
            Tier = record.Tier.ToString().ToLowerInvariant(),
            State = record.State.ToString().ToLowerInvariant(),
            BeginsAt = record.Validity.NotBefore.ToUnixTimeSeconds(),
            ExpiresAt = record.Validity.NotAfter.ToUnixTimeSeconds(),
            Anchor = record is X509AuthorityRecord { Tier: AuthorityTier.Issuing } issuing ? ledger.Anchors.FirstOrDefault(issuing.IsBelow)?.Id ?? "" : "",
        }));
        return Task.FromResult(response);
    }
}
