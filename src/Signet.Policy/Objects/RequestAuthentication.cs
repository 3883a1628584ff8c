using Signet.Identity.Spiffe;

namespace Signet.Policy.Objects;

/// <summary>Which tokens are believed. A request without a token is anonymous; one with a bad token is refused.</summary>
public sealed record RequestAuthentication : PolicyObject
{
    public override string Kind => "RequestAuthentication";

    /// <summary>Whether it names gateways or services instead of workloads; then no sidecar is covered.</summary>
    public bool HasTargetRefs { get; init; }

    public IReadOnlyList<JwtRule> Rules { get; init; } = [];
}

/// <summary>One issuer whose tokens are believed.</summary>
public sealed record JwtRule
{
    public required int Line { get; init; }

    /// <summary>The token's <c>iss</c>; for JWT-SVIDs without one, <c>spiffe://</c> and the trust domain of their subject.</summary>
    public required string Issuer
    {
        get;
        init
        {
            field = value;
            TrustDomain = value.StartsWith(SpiffeId.SchemePrefix, StringComparison.Ordinal) && TrustDomain.TryParse(value, out var trustDomain, out _) ? trustDomain : null;
        }
    }

    /// <summary>The trust domain whose JWT-SVIDs are meant, when the issuer is one: then the rules of their profile hold, and audiences are a must.</summary>
    public TrustDomain? TrustDomain { get; private init; }

    /// <summary>A token must name one of them; empty takes any, except of a JWT-SVID.</summary>
    public IReadOnlyList<string> Audiences { get; init; } = [];

    /// <summary>The keys, as JSON, when they stand in the policy.</summary>
    public string? Jwks { get; init; }

    /// <summary>
    /// Where to fetch the keys; who runs the policy does that. Without it and <see cref="Jwks"/> those of <see cref="TrustDomain"/>'s bundle count, and
    /// there are none when the issuer is no trust domain.
    /// </summary>
    public Uri? JwksUri { get; init; }

    /// <summary>How long fetching may take.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    public IReadOnlyList<JwtHeader> FromHeaders { get; init; } = [];

    public IReadOnlyList<string> FromParams { get; init; } = [];

    public IReadOnlyList<string> FromCookies { get; init; } = [];

    /// <summary>Whether the token travels on to the application.</summary>
    public bool ForwardOriginalToken { get; init; }

    /// <summary>The header that gets the token's payload, base64url, or null.</summary>
    public string? OutputPayloadToHeader { get; init; }

    /// <summary>Claims that are copied to headers.</summary>
    public IReadOnlyList<ClaimToHeader> OutputClaimToHeaders { get; init; } = [];

    /// <summary>Claims whose text is a list with spaces between.</summary>
    public IReadOnlyList<string> SpaceDelimitedClaims { get; init; } = DefaultSpaceDelimited;

    /// <summary>The claims that are lists by custom.</summary>
    public static IReadOnlyList<string> DefaultSpaceDelimited { get; } = ["scope", "permission"];
}

/// <summary>A header that holds a token after a prefix such as <c>Bearer </c>.</summary>
public sealed record JwtHeader(string Name, string Prefix);

/// <summary>A claim that is copied to a header.</summary>
public sealed record ClaimToHeader(string Header, string Claim);
