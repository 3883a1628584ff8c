using Microsoft.AspNetCore.Authorization;
using Signet.Client;
using Signet.Identity.Spiffe;

namespace Signet.AspNetCore;

/// <summary>Authorization policies by SPIFFE ID. Each needs the scheme of <see cref="SpiffeAuthentication"/>; anonymous requests never pass.</summary>
public static class SpiffeAuthorization
{
    /// <summary>One of these workloads and nobody else.</summary>
    public static AuthorizationPolicyBuilder RequireSpiffeId(this AuthorizationPolicyBuilder policy, params IEnumerable<SpiffeId> ids) => policy.RequirePeer(Authorizer.OneOf(ids));

    /// <summary>A workload of this trust domain.</summary>
    public static AuthorizationPolicyBuilder RequireTrustDomain(this AuthorizationPolicyBuilder policy, TrustDomain trustDomain) => policy.RequirePeer(Authorizer.MemberOf(trustDomain));

    /// <summary>A workload of this trust domain at or below a path (<see cref="Authorizer.PathPrefix"/>).</summary>
    /// <exception cref="FormatException">The prefix is not the path of a SPIFFE ID.</exception>
    public static AuthorizationPolicyBuilder RequirePathPrefix(this AuthorizationPolicyBuilder policy, TrustDomain trustDomain, string prefix) =>
        policy.RequirePeer(Authorizer.PathPrefix(trustDomain, prefix));

    /// <summary>A workload that an authorizer allows.</summary>
    public static AuthorizationPolicyBuilder RequirePeer(this AuthorizationPolicyBuilder policy, Authorizer authorizer) => policy.AddRequirements(new PeerRequirement(authorizer));
}

/// <summary>Judges itself, and no other requirement: ASP.NET Core asks requirements that are handlers.</summary>
internal sealed class PeerRequirement(Authorizer authorizer) : IAuthorizationRequirement, IAuthorizationHandler
{
    public Task HandleAsync(AuthorizationHandlerContext context)
    {
        var reason = "no peer has proved who it is";
        if (SpiffeAuthentication.SpiffeIdOf(context.User) is { } peer && authorizer.Allows(peer, out reason))
        {
            context.Succeed(this);
        }
        else
        {
            context.Fail(new AuthorizationFailureReason(this, reason));
        }

        return Task.CompletedTask;
    }

    public override string ToString() => $"the peer must be: {authorizer}";
}
