using System.Security.Claims;
using Microsoft.AspNetCore.Authorization;
using Signet.AspNetCore;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.AspNetCore;

public sealed class SpiffeAuthorizationTests
{
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/web");

    [Fact]
    public async Task A_peer_is_judged_and_a_refusal_has_its_reason()
    {
        var peer = new ClaimsPrincipal(new SpiffeIdentity(Web, SpiffeAuthentication.Scheme));
        Assert.Equal(Web.Uri, peer.Identity!.Name);
        Assert.Equal(Web, SpiffeAuthentication.SpiffeIdOf(peer));
        Assert.True((await DecideAsync(peer, policy => policy.RequireSpiffeId(Web))).HasSucceeded);
        var refused = await DecideAsync(peer, policy => policy.RequireSpiffeId(SpiffeId.Parse("spiffe://example.org/shop")));
        Assert.False(refused.HasSucceeded);
        Assert.Contains("spiffe://example.org/shop", Assert.Single(refused.FailureReasons).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_claim_that_another_scheme_made_is_no_peer()
    {
        var claimed = new ClaimsPrincipal(new ClaimsIdentity([new Claim(SpiffeClaims.Id, Web.Uri)], "Cookies", SpiffeClaims.Id, null));
        Assert.Equal(Web.Uri, claimed.Identity!.Name);
        Assert.Null(SpiffeAuthentication.SpiffeIdOf(claimed));
        Assert.False((await DecideAsync(claimed, policy => policy.RequireSpiffeId(Web))).HasSucceeded);
    }

    [Fact]
    public async Task Each_requirement_judges_for_itself()
    {
        var peer = new ClaimsPrincipal(new SpiffeIdentity(Web, SpiffeAuthentication.Scheme));
        Assert.True((await DecideAsync(peer, policy => policy.RequireTrustDomain(Web.TrustDomain).RequirePathPrefix(Web.TrustDomain, "/web"))).HasSucceeded);
        Assert.False((await DecideAsync(peer, policy => policy.RequireTrustDomain(Web.TrustDomain).RequirePathPrefix(Web.TrustDomain, "/shop"))).HasSucceeded);
    }

    private static async Task<AuthorizationHandlerContext> DecideAsync(ClaimsPrincipal user, Action<AuthorizationPolicyBuilder> configure)
    {
        var policy = new AuthorizationPolicyBuilder();
        configure(policy);
        var context = new AuthorizationHandlerContext(policy.Build().Requirements, user, null);
        foreach (var requirement in policy.Requirements.Cast<IAuthorizationHandler>())
        {
            await requirement.HandleAsync(context);
        }

        return context;
    }
}
