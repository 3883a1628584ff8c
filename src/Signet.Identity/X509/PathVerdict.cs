namespace Signet.Identity.X509;

/// <summary>Why a path is refused. A closed list: logs, metrics and scripts may rely on it.</summary>
public enum PathProblem
{
    None,
    UnknownAuthority,
    BadSignature,
    WeakAlgorithm,
    NotAnAuthority,
    PathLength,
    KeyUsage,
    ExtendedKeyUsage,
    UnknownCriticalExtension,
    NameConstraint,
    Profile,
    Expired,
    NotYetValid,
    Revoked,
    RevocationUnknown,
    NameMismatch,
    TooComplex,
    Malformed,
}

/// <summary>The words by which scripts and logs know the problems: <c>expired</c>, <c>unknown-authority</c>.</summary>
public static class PathProblems
{
    public static string Word(this PathProblem problem) => problem switch
    {
        PathProblem.None => "none",
        PathProblem.UnknownAuthority => "unknown-authority",
        PathProblem.BadSignature => "bad-signature",
        PathProblem.WeakAlgorithm => "weak-algorithm",
        PathProblem.NotAnAuthority => "not-an-authority",
        PathProblem.PathLength => "path-length",
        PathProblem.KeyUsage => "key-usage",
        PathProblem.ExtendedKeyUsage => "extended-key-usage",
        PathProblem.UnknownCriticalExtension => "unknown-critical-extension",
        PathProblem.NameConstraint => "name-constraint",
        PathProblem.Profile => "profile",
        PathProblem.Expired => "expired",
        PathProblem.NotYetValid => "not-yet-valid",
        PathProblem.Revoked => "revoked",
        PathProblem.RevocationUnknown => "revocation-unknown",
        PathProblem.NameMismatch => "name-mismatch",
        PathProblem.TooComplex => "too-complex",
        _ => "malformed",
    };
}

/// <summary>The answer of <see cref="PathValidator"/>. Immutable.</summary>
public sealed record PathVerdict
{
    internal PathVerdict()
    {
    }

    public bool IsValid => Problem == PathProblem.None;

    public required PathProblem Problem { get; init; }

    /// <summary>A sentence for an operator, safe to log; empty when the path is valid.</summary>
    public required string Reason { get; init; }

    /// <summary>Leaf first, root last; empty when there is no valid path.</summary>
    public IReadOnlyList<Certificate> Path { get; init; } = [];

    /// <summary>Until when the answer holds: the earliest end in the path. Only meaningful for a valid path.</summary>
    public DateTimeOffset ExpiresAt { get; init; }
}
