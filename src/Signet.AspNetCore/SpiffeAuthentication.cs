using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Signet.Identity.Spiffe;

namespace Signet.AspNetCore;

/// <summary>What the principal of a peer is made of.</summary>
public static class SpiffeClaims
{
    /// <summary>The name claim: the whole SPIFFE ID, as <c>spiffe://example.org/ns/shop/sa/web</c>. <c>User.Identity.Name</c> answers it.</summary>
    public const string Id = "spiffe_id";

    /// <summary>The trust domain, as <c>example.org</c>.</summary>
    public const string TrustDomain = "trust_domain";
}

/// <summary>The authentication scheme whose principal is the peer of the connection.</summary>
public static class SpiffeAuthentication
{
    /// <summary>The scheme's name, unless another is given.</summary>
    public const string Scheme = "Spiffe";

    /// <summary>
    /// Adds the scheme. A request on a connection of <see cref="KestrelMutualTls"/> has the peer's SPIFFE ID as its name until the peer's certificate expires;
    /// any other request is anonymous. A challenge answers 401, for a request can't change who has connected.
    /// </summary>
    public static AuthenticationBuilder AddSpiffe(this AuthenticationBuilder authentication, string scheme = Scheme) =>
        authentication.AddScheme<AuthenticationSchemeOptions, SpiffeAuthenticationHandler>(scheme, null);

    /// <summary>The SPIFFE ID of a principal that this scheme made; null for any other. Claims of other schemes do not count.</summary>
    public static SpiffeId? SpiffeIdOf(ClaimsPrincipal user) =>
        user.Identities.OfType<SpiffeIdentity>().FirstOrDefault()?.SpiffeId;
}

/// <summary>Made by <see cref="SpiffeAuthenticationHandler"/> only, so that a claim somebody else issued is never taken for a peer.</summary>
internal sealed class SpiffeIdentity(SpiffeId id, string scheme) : ClaimsIdentity(
    [new Claim(SpiffeClaims.Id, id.Uri), new Claim(SpiffeClaims.TrustDomain, id.TrustDomain.Name)], scheme, SpiffeClaims.Id, roleType: null)
{
    public SpiffeId SpiffeId => id;
}

internal sealed class SpiffeAuthenticationHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logs, UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logs, encoder)
{
    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Context.Features.Get<ISpiffePeerFeature>()?.Peer is not { } peer)
        {
            return Task.FromResult(AuthenticateResult.NoResult());
        }

        return Task.FromResult(peer.ExpiresAt < TimeProvider.GetUtcNow()
            ? AuthenticateResult.Fail($"the certificate that {peer.Id} connected with expired at {peer.ExpiresAt:u}")
            : AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new SpiffeIdentity(peer.Id, Scheme.Name)), Scheme.Name)));
    }
}
