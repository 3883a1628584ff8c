using Signet.Policy.Objects;

namespace Signet.Policy.Jwt;

public enum TokenOutcome
{
    /// <summary>The request brings no token: it goes on without one.</summary>
    None,

    /// <summary>The request brings a token that is believed.</summary>
    Valid,

    /// <summary>The request brings a token that is not believed: it is answered 401.</summary>
    Invalid,
}

/// <summary>What came of the tokens of a request.</summary>
/// <param name="Outcome">Whether it goes on.</param>
/// <param name="Jwt">The claims, when valid.</param>
/// <param name="Rule">The rule that took it, when valid.</param>
/// <param name="Reason">A sentence for an operator; it never contains the token.</param>
public sealed record TokenVerdict(TokenOutcome Outcome, ValidatedJwt? Jwt, JwtRule? Rule, string Reason);
