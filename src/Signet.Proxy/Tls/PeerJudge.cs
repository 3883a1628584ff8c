using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Proxy.Tls;

/// <summary>The answer to "who is this, and may it be the other end": a peer, or a reason.</summary>
public readonly record struct Judgement(Peer? Peer, RefusalReason Reason, string Detail);

/// <summary>
/// Judges a peer's certificates, in a handshake and again later: the same pure function of certificates, bundles and time.
/// </summary>
public static class PeerJudge
{
    /// <param name="presented">Leaf first; empty when the peer sent none.</param>
    /// <param name="bundles">Whom this side believes.</param>
    /// <param name="usage">What the peer is to this side.</param>
    /// <param name="expected">Which workloads may be there; null takes every one that is proven.</param>
    /// <param name="now">The time of the question.</param>
    public static Judgement Judge(
        IReadOnlyList<Certificate> presented, TrustBundles bundles, CertificateUsage usage, Func<SpiffeId, bool>? expected, DateTimeOffset now)
    {
        var verdict = SvidVerifier.Verify(presented, bundles, usage, now);
        if (verdict.Id is not { } id)
        {
            return new(null, ReasonOf(verdict.Problem), verdict.Reason);
        }

        return expected is null || expected(id)
            ? new(new Peer(id, presented, verdict.ExpiresAt), default, "")
            : new(null, RefusalReason.PeerIdentityUnexpected, $"the peer is {id}, which is not an identity that is accepted there");
    }

    private static RefusalReason ReasonOf(PeerProblem problem) => problem switch
    {
        PeerProblem.NoCertificate => RefusalReason.PeerCertificateMissing,
        PeerProblem.NotAnSvid => RefusalReason.PeerNotAWorkload,
        PeerProblem.UntrustedDomain => RefusalReason.PeerTrustDomainUnknown,
        PeerProblem.UnknownAuthority => RefusalReason.PeerAuthorityUnknown,
        PeerProblem.Expired => RefusalReason.PeerCertificateExpired,
        PeerProblem.NotYetValid => RefusalReason.PeerCertificateNotYetValid,
        _ => RefusalReason.PeerCertificateInvalid,
    };
}
