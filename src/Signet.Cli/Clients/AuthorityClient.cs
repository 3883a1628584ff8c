using Grpc.Core;
using Signet.Rpc;
using Signet.Rpc.Wire.Authority;
using Signet.Rpc.Wire.Spire.Server.LocalAuthority;
using WireAuthority = Signet.Rpc.Wire.Authority.Authority;

namespace Signet.Cli.Clients;

/// <summary>The operator's side of the authorities over a channel of the admin client. What the server refuses, or what cannot be reached, is a <see cref="RpcException"/>.</summary>
internal sealed class AuthorityClient(GrpcChannel channel, TimeProvider time)
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private AnchorRotation.AnchorRotationClient Anchor => new(channel);

    private LocalAuthority.LocalAuthorityClient Local => new(channel);

    /// <summary>Every authority that is not gone, in the order of their making.</summary>
    public async Task<IReadOnlyList<WireAuthority>> ListAsync(CancellationToken cancellationToken) =>
        (await new Authorities.AuthoritiesClient(channel).ListAsync(new ListRequest(), Options(cancellationToken)).ResponseAsync.ConfigureAwait(false)).Authorities;

    /// <summary>Makes the next authority, ahead of the rule.</summary>
    public async Task<AuthorityState> PrepareAsync(bool jwt, CancellationToken cancellationToken) => jwt
        ? (await Local.PrepareJWTAuthorityAsync(new PrepareJWTAuthorityRequest(), Options(cancellationToken))).PreparedAuthority
        : (await Local.PrepareX509AuthorityAsync(new PrepareX509AuthorityRequest(), Options(cancellationToken))).PreparedAuthority;

    public async Task<AuthorityState> ActivateAsync(bool jwt, string id, CancellationToken cancellationToken) => jwt
        ? (await Local.ActivateJWTAuthorityAsync(new ActivateJWTAuthorityRequest { AuthorityId = id }, Options(cancellationToken))).ActivatedAuthority
        : (await Local.ActivateX509AuthorityAsync(new ActivateX509AuthorityRequest { AuthorityId = id }, Options(cancellationToken))).ActivatedAuthority;

    public async Task<AuthorityState> TaintAsync(bool jwt, string id, CancellationToken cancellationToken) => jwt
        ? (await Local.TaintJWTAuthorityAsync(new TaintJWTAuthorityRequest { AuthorityId = id }, Options(cancellationToken))).TaintedAuthority
        : (await Local.TaintX509AuthorityAsync(new TaintX509AuthorityRequest { AuthorityId = id }, Options(cancellationToken))).TaintedAuthority;

    public async Task<AuthorityState> RevokeAsync(bool jwt, string id, CancellationToken cancellationToken) => jwt
        ? (await Local.RevokeJWTAuthorityAsync(new RevokeJWTAuthorityRequest { AuthorityId = id }, Options(cancellationToken))).RevokedAuthority
        : (await Local.RevokeX509AuthorityAsync(new RevokeX509AuthorityRequest { AuthorityId = id }, Options(cancellationToken))).RevokedAuthority;

    public Task<RotationStatus> StartAsync(bool dryRun, CancellationToken cancellationToken) =>
        Anchor.StartAsync(new StartRequest { DryRun = dryRun }, Options(cancellationToken)).ResponseAsync;

    public Task<RotationStatus> StatusAsync(CancellationToken cancellationToken) =>
        Anchor.GetStatusAsync(new GetStatusRequest(), Options(cancellationToken)).ResponseAsync;

    public Task<RotationStatus> AbortAsync(CancellationToken cancellationToken) =>
        Anchor.AbortAsync(new AbortRequest(), Options(cancellationToken)).ResponseAsync;

    public Task<RotationStatus> ForceAsync(string reason, CancellationToken cancellationToken) =>
        Anchor.ForceAsync(new ForceRequest { Reason = reason }, Options(cancellationToken)).ResponseAsync;

    /// <summary>Has nobody accept certificates any more: one by its serial number, or all of a SPIFFE ID.</summary>
    public async Task<IReadOnlyList<Revocation>> RevokeCertificatesAsync(string? serial, string? spiffeId, string reason, CancellationToken cancellationToken) =>
        (await new Revocations.RevocationsClient(channel).RevokeAsync(new RevokeRequest { Serial = serial ?? "", SpiffeId = spiffeId ?? "", Reason = reason }, Options(cancellationToken)).ResponseAsync.ConfigureAwait(false)).Revocations;

    /// <summary>What is revoked one by one, the newest first.</summary>
    public async Task<IReadOnlyList<Revocation>> RevocationsAsync(CancellationToken cancellationToken) =>
        (await new Revocations.RevocationsClient(channel).ListAsync(new ListRevocationsRequest(), Options(cancellationToken)).ResponseAsync.ConfigureAwait(false)).Revocations;

    private CallOptions Options(CancellationToken cancellationToken) => new(null, (time.GetUtcNow() + Timeout).UtcDateTime, cancellationToken);
}
