using Signet.Identity.Spiffe;
using Signet.Identity.X509.Revocation;

namespace Signet.Identity.X509;

/// <summary>Why a peer is not trusted. A closed list: logs, metrics and alerts rely on it.</summary>
public enum PeerProblem
{
    None,
    NoCertificate,
    Malformed,
    NotAnSvid,
    UntrustedDomain,
    UnknownAuthority,
    BadSignature,
    BadAuthority,
    WeakAlgorithm,
    NameConstraint,
    WrongPurpose,
    Expired,
    NotYetValid,
    Revoked,
    RevocationUnknown,
    TooComplex,
}

/// <summary>Who a peer is, or why nobody knows. Immutable.</summary>
public sealed record PeerVerdict
{
    internal PeerVerdict()
    {
    }

    public bool IsTrusted => Problem == PeerProblem.None;

    /// <summary>The peer's ID when it is trusted; otherwise null: a claim that does not hold is no identity.</summary>
    public SpiffeId? Id { get; init; }

    public required PeerProblem Problem { get; init; }

    /// <summary>A sentence for the operator, safe to log, not for the peer; empty when the peer is trusted.</summary>
    public required string Reason { get; init; }

    /// <summary>Until when the answer holds: the earliest end in the path. Only meaningful for a trusted peer.</summary>
    public DateTimeOffset ExpiresAt { get; init; }

    /// <summary>What the peer presented first, trusted or not; null when it presented nothing.</summary>
    public Certificate? Leaf { get; init; }

    /// <summary>Leaf first, root last; empty when the peer is not trusted.</summary>
    public IReadOnlyList<Certificate> Path { get; init; } = [];
}

/// <summary>Decides who a peer is from the certificates it presented (X509-SVID §5). Pure, thread-safe, bounded.</summary>
public static class SvidVerifier
{
    /// <summary>How many certificates a peer may present.</summary>
    public const int MaxPresented = 16;

    /// <summary>Verifies the leaf with the bundle of its own trust domain and no other (Federation §7.3).</summary>
    /// <param name="presented">Leaf first; what follows may come in any order.</param>
    /// <param name="bundles">Whom this side believes.</param>
    /// <param name="usage">What the peer is to this side.</param>
    /// <param name="now">The time at which the answer is wanted.</param>
    /// <param name="crls">Revocation lists; an issuer that has one here must have a current one. Null: those of <paramref name="bundles"/>. None: revocation is not looked at.</param>
    public static PeerVerdict Verify(
        IReadOnlyList<Certificate> presented, TrustBundles bundles, CertificateUsage usage, DateTimeOffset now, IReadOnlyList<CertificateRevocationList>? crls = null)
    {
        if (presented.Count == 0)
        {
            return Refused(null, PeerProblem.NoCertificate, "the peer presented no certificate");
        }

        var leaf = presented[0];
        if (presented.Count > MaxPresented)
        {
            return Refused(leaf, PeerProblem.TooComplex, $"the peer presented {presented.Count} certificates; the limit is {MaxPresented}");
        }

        if (!X509SvidProfile.TryCheckLeaf(leaf, out var id, out var problem))
        {
            return Refused(leaf, PeerProblem.NotAnSvid, $"the peer's certificate {leaf} is not an X509-SVID: {problem}");
        }

        if (bundles.Find(id.TrustDomain) is not { } bundle)
        {
            return Refused(leaf, PeerProblem.UntrustedDomain, $"the peer says it is {id}; there is no bundle for the trust domain {id.TrustDomain}");
        }

        var verdict = PathValidator.Validate(new PathRequest
        {
            Leaf = leaf,
            Intermediates = presented.Skip(1).ToArray(),
            Roots = bundle.Authorities,
            At = now,
            Profile = PathProfile.Spiffe,
            Usage = usage,
            Crls = crls ?? bundles.Crls,
            RevocationScope = RevocationScope.WherePublished,
        });
        return verdict.IsValid
            ? new PeerVerdict { Problem = PeerProblem.None, Reason = "", Id = id, ExpiresAt = verdict.ExpiresAt, Leaf = leaf, Path = verdict.Path }
            : Refused(leaf, ProblemOf(verdict.Problem), $"the peer says it is {id}; {verdict.Reason}");
    }

    private static PeerVerdict Refused(Certificate? leaf, PeerProblem problem, string reason) => new() { Problem = problem, Reason = reason, Leaf = leaf };

    private static PeerProblem ProblemOf(PathProblem problem) => problem switch
    {
        PathProblem.UnknownAuthority => PeerProblem.UnknownAuthority,
        PathProblem.BadSignature => PeerProblem.BadSignature,
        PathProblem.WeakAlgorithm => PeerProblem.WeakAlgorithm,
        PathProblem.NotAnAuthority or PathProblem.PathLength or PathProblem.KeyUsage or PathProblem.UnknownCriticalExtension or PathProblem.Profile => PeerProblem.BadAuthority,
        PathProblem.NameConstraint => PeerProblem.NameConstraint,
        PathProblem.ExtendedKeyUsage => PeerProblem.WrongPurpose,
        PathProblem.Expired => PeerProblem.Expired,
        PathProblem.NotYetValid => PeerProblem.NotYetValid,
        PathProblem.Revoked => PeerProblem.Revoked,
        PathProblem.RevocationUnknown => PeerProblem.RevocationUnknown,
        PathProblem.TooComplex => PeerProblem.TooComplex,
        _ => PeerProblem.Malformed,
    };
}
