using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Proxy.Tls;

/// <summary>
/// Which workload is behind a chain of certificates, under one set of bundles. Another set of bundles needs another instance, so nothing
/// outlives what it rested on. Thread-safe.
/// </summary>
internal sealed class PeerVerdicts(TrustBundles bundles)
{
    internal const int MaxKept = VerdictCache.MaxKept;

    private readonly VerdictCache _cache = new();

    internal int Count => _cache.Count;

    /// <param name="presented">DER, leaf first; empty when the peer sent none.</param>
    /// <param name="usage">What the peer is to this side.</param>
    /// <param name="expected">Which workloads may be there; null takes every one that is proven.</param>
    /// <param name="now">The time of the question.</param>
    public Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, CertificateUsage usage, Func<SpiffeId, bool>? expected, DateTimeOffset now)
    {
        var known = _cache.Judge(presented, usage, now, certificates => Verify(certificates, usage, now));
        return known.Peer is not { } peer || expected is null || expected(peer.Id!)
            ? known
            : new(null, RefusalReason.PeerIdentityUnexpected, $"the peer is {peer.Id}, which is not an identity that is accepted there");
    }

    /// <summary>Asks again about a peer that was believed once.</summary>
    public Judgement Judge(Peer peer, CertificateUsage usage, Func<SpiffeId, bool>? expected, DateTimeOffset now) =>
        Judge([.. peer.Presented.Select(certificate => certificate.Der)], usage, expected, now);

    private VerdictCache.Finding Verify(IReadOnlyList<Certificate> certificates, CertificateUsage usage, DateTimeOffset now)
    {
        var verdict = SvidVerifier.Verify(certificates, bundles, usage, now);
        return verdict.Id is { } id
            ? VerdictCache.Finding.Believed(
                new Peer(id, certificates, verdict.Path.Min(certificate => certificate.NotAfter)), verdict.Path.Max(certificate => certificate.NotBefore), verdict.ExpiresAt)
            : VerdictCache.Finding.Refused(ReasonOf(verdict.Problem), verdict.Reason);
    }

    private static RefusalReason ReasonOf(PeerProblem problem) => problem switch
    {
        PeerProblem.NoCertificate => RefusalReason.PeerCertificateMissing,
        PeerProblem.NotAnSvid => RefusalReason.PeerNotAWorkload,
        PeerProblem.UntrustedDomain => RefusalReason.PeerTrustDomainUnknown,
        PeerProblem.UnknownAuthority => RefusalReason.PeerAuthorityUnknown,
        PeerProblem.Expired => RefusalReason.PeerCertificateExpired,
        PeerProblem.NotYetValid => RefusalReason.PeerCertificateNotYetValid,
        PeerProblem.Revoked => RefusalReason.PeerCertificateRevoked,
        _ => RefusalReason.PeerCertificateInvalid,
    };
}
