using Grpc.Core;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Spire.Server.LocalAuthority;
using Signet.Server.Upkeep;
using Signet.Server.Upstream;

namespace Signet.Server.Api;

/// <summary>
/// spire.api.server.localauthority.v1.LocalAuthority. Its X.509 authorities are the issuing ones; the anchor has a service of its own. As with SPIRE
/// only what is old can be tainted, and only what is tainted revoked.
/// </summary>
internal sealed class LocalAuthorityService(AuthorityRotation authorities, AuthorityOrders orders, UpstreamConfig? upstream) : LocalAuthority.LocalAuthorityBase
{
    public override Task<GetX509AuthorityStateResponse> GetX509AuthorityState(GetX509AuthorityStateRequest request, ServerCallContext context)
    {
        var (active, prepared, old) = States(AuthorityTier.Issuing);
        return Task.FromResult(new GetX509AuthorityStateResponse { Active = active, Prepared = prepared, Old = old });
    }

    public override Task<PrepareX509AuthorityResponse> PrepareX509Authority(PrepareX509AuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.PrepareAsync(AuthorityTier.Issuing, by, stop), state => new PrepareX509AuthorityResponse { PreparedAuthority = state });

    public override Task<ActivateX509AuthorityResponse> ActivateX509Authority(ActivateX509AuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.ActivateAsync(AuthorityTier.Issuing, request.AuthorityId, by, stop), state => new ActivateX509AuthorityResponse { ActivatedAuthority = state });

    public override Task<TaintX509AuthorityResponse> TaintX509Authority(TaintX509AuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.TaintAsync(AuthorityTier.Issuing, request.AuthorityId, by, stop), state => new TaintX509AuthorityResponse { TaintedAuthority = state });

    public override Task<RevokeX509AuthorityResponse> RevokeX509Authority(RevokeX509AuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.RevokeAsync(AuthorityTier.Issuing, request.AuthorityId, by, stop), state => new RevokeX509AuthorityResponse { RevokedAuthority = state });

    public override Task<TaintX509UpstreamAuthorityResponse> TaintX509UpstreamAuthority(TaintX509UpstreamAuthorityRequest request, ServerCallContext context) =>
        throw Elsewhere(request.SubjectKeyId, "tainted");

    public override Task<RevokeX509UpstreamAuthorityResponse> RevokeX509UpstreamAuthority(RevokeX509UpstreamAuthorityRequest request, ServerCallContext context) =>
        throw Elsewhere(request.SubjectKeyId, "revoked");

    public override Task<GetJWTAuthorityStateResponse> GetJWTAuthorityState(GetJWTAuthorityStateRequest request, ServerCallContext context)
    {
        var (active, prepared, old) = States(AuthorityTier.Jwt);
        return Task.FromResult(new GetJWTAuthorityStateResponse { Active = active, Prepared = prepared, Old = old });
    }

    public override Task<PrepareJWTAuthorityResponse> PrepareJWTAuthority(PrepareJWTAuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.PrepareAsync(AuthorityTier.Jwt, by, stop), state => new PrepareJWTAuthorityResponse { PreparedAuthority = state });

    public override Task<ActivateJWTAuthorityResponse> ActivateJWTAuthority(ActivateJWTAuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.ActivateAsync(AuthorityTier.Jwt, request.AuthorityId, by, stop), state => new ActivateJWTAuthorityResponse { ActivatedAuthority = state });

    public override Task<TaintJWTAuthorityResponse> TaintJWTAuthority(TaintJWTAuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.TaintAsync(AuthorityTier.Jwt, request.AuthorityId, by, stop), state => new TaintJWTAuthorityResponse { TaintedAuthority = state });

    public override Task<RevokeJWTAuthorityResponse> RevokeJWTAuthority(RevokeJWTAuthorityRequest request, ServerCallContext context) =>
        DoAsync(context, (by, stop) => orders.RevokeAsync(AuthorityTier.Jwt, request.AuthorityId, by, stop), state => new RevokeJWTAuthorityResponse { RevokedAuthority = state });

    private Task<T> DoAsync<T>(ServerCallContext context, Func<string, CancellationToken, Task<AuthorityRecord>> order, Func<AuthorityState, T> answer) =>
        Rpcs.GuardAsync(async () =>
        {
            var record = await order(CallerOf.Name(context), context.CancellationToken).ConfigureAwait(false);
            CallOf.Of(context).About($"{record.Tier.ToString().ToLowerInvariant()} authority {record.Id}");
            return answer(ToWire(record));
        });

    private (AuthorityState? Active, AuthorityState? Prepared, AuthorityState? Old) States(AuthorityTier tier)
    {
        var records = authorities.Current.Records.Where(record => record.Tier == tier).ToArray();
        return (Newest(SlotState.Active), Newest(SlotState.Prepared), Newest(SlotState.Old, SlotState.Tainted));

        AuthorityState? Newest(params SlotState[] states) => records.LastOrDefault(record => states.Contains(record.State)) is { } newest ? ToWire(newest) : null;
    }

    private AuthorityState ToWire(AuthorityRecord record) => new()
    {
        AuthorityId = record.Id,
        ExpiresAt = record.Validity.NotAfter.ToUnixTimeSeconds(),
        UpstreamAuthoritySubjectKeyId = record is X509AuthorityRecord issuing ? Convert.ToHexStringLower(issuing.Certificate.AuthorityKeyId.Span) : "",
    };

    // What stands above is never tainted or revoked from below; the answer says where it is.
    private RpcException Elsewhere(string subjectKeyId, string what)
    {
        if (upstream is null)
        {
            return new RpcException(new Status(StatusCode.FailedPrecondition, "this server has no upstream authority; its own trust anchor is replaced as a whole: signet authority rotate --anchor"));
        }

        string[] above = [.. Above().Distinct(StringComparer.Ordinal)];
        return subjectKeyId.Length == 0 ? new RpcException(new Status(StatusCode.InvalidArgument, $"the subject key ID is missing; above this server's authorities stand {string.Join(", ", above)}"))
            : !above.Contains(subjectKeyId.Replace(":", "", StringComparison.Ordinal).ToLowerInvariant(), StringComparer.Ordinal)
                ? new RpcException(new Status(StatusCode.NotFound, $"no authority above this server's has the subject key ID \"{Printable.Of(subjectKeyId)}\"; there are {string.Join(", ", above)}"))
            : new RpcException(new Status(StatusCode.FailedPrecondition, $"authority {subjectKeyId} is not {what} from below: {upstream.Withdrawal}"));
    }

    private IEnumerable<string> Above() => authorities.Current.Ledger.Issuing
        .SelectMany(issuing => issuing.Above.Select(certificate => certificate.SubjectKeyIdentifier).Prepend(issuing.Certificate.AuthorityKeyId))
        .Concat(authorities.Current.Bundle.Authorities.Select(anchor => anchor.SubjectKeyIdentifier))
        .Where(id => !id.IsEmpty)
        .Select(id => Convert.ToHexStringLower(id.Span));
}
