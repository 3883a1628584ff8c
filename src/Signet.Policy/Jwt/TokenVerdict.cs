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
public sealed record TokenVerdict(TokenOutcome Outcome, ValidatedJwt? Jwt, JwtRule? Rule, string Reason)
{
    /// <summary>The token that was believed; null when none was. It is a secret.</summary>
    public string? Token { get; init; }

    /// <summary>Whether newer keys may make an invalid token valid: no key is known that made its signature.</summary>
    public bool WantsKeys { get; init; }

    /// <summary>Without the token.</summary>
    public override string ToString() => $"{Outcome}: {Reason}";
}
