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
