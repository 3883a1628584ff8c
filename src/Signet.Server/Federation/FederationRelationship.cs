using Signet.Identity.Spiffe;

namespace Signet.Server.Federation;

/// <summary>How a bundle endpoint proves who it is (Federation §5.2).</summary>
public abstract record EndpointProfile
{
    private EndpointProfile()
    {
    }

    /// <summary>By a certificate of the public web for its host name.</summary>
    public sealed record HttpsWeb : EndpointProfile;

    /// <summary>By an X.509-SVID of exactly this ID.</summary>
    public sealed record HttpsSpiffe(SpiffeId EndpointId) : EndpointProfile;
}

/// <summary>Where the bundle of another trust domain is fetched from. All three are said by an operator; none is guessed from another (Federation §7.2). Immutable.</summary>
/// <param name="TrustDomain">Whose bundle it is.</param>
/// <param name="Url">Where it is served.</param>
/// <param name="Profile">How that place is recognised.</param>
public sealed record FederationRelationship(TrustDomain TrustDomain, BundleEndpointUrl Url, EndpointProfile Profile)
{
    /// <summary>Whether it stands in the server's configuration file, which alone can change it.</summary>
    public bool IsStatic { get; init; }

    /// <summary>Whether the endpoint is recognised with the very bundle that it serves: the first one must then come another way.</summary>
    public bool IsSelfServing => Profile is EndpointProfile.HttpsSpiffe spiffe && spiffe.EndpointId.IsMemberOf(TrustDomain);

    /// <summary>Why a server of a trust domain can't keep it; empty when it can.</summary>
    public string Problem(TrustDomain own) => TrustDomain == own
        ? $"{own} is this server's own trust domain; federation is with others"
        : "";
}
