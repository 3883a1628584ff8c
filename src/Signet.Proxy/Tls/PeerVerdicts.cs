using System.Collections.Concurrent;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Proxy.Tls;

/// <summary>
/// Who is behind a chain of certificates, under one set of bundles: the verifier's answer, remembered for as long as every certificate in
/// the path is valid. Another set of bundles needs another instance, so nothing outlives what it rested on. Thread-safe.
/// </summary>
internal sealed class PeerVerdicts(TrustBundles bundles)
{
    internal const int MaxKept = 4096;

    private readonly ConcurrentDictionary<Key, Known> _known = new();

    internal int Count => _known.Count;

    /// <param name="presented">DER, leaf first; empty when the peer sent none.</param>
    /// <param name="usage">What the peer is to this side.</param>
    /// <param name="expected">Which workloads may be there; null takes every one that is proven.</param>
    /// <param name="now">The time of the question.</param>
    public Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, CertificateUsage usage, Func<SpiffeId, bool>? expected, DateTimeOffset now)
    {
        var key = KeyOf(presented, usage);
        if (!_known.TryGetValue(key, out var known) || now < known.ValidFrom || now > known.Peer.ExpiresAt)
        {
            if (!TryParse(presented, out var certificates, out var problem))
            {
                return new(null, RefusalReason.PeerCertificateInvalid, problem);
            }

            var verdict = SvidVerifier.Verify(certificates, bundles, usage, now);
            if (verdict.Id is not { } id)
            {
                return new(null, ReasonOf(verdict.Problem), verdict.Reason);
            }

            known = new Known(new Peer(id, certificates, verdict.ExpiresAt), verdict.Path.Max(certificate => certificate.NotBefore));
            Remember(key, known);
        }

        var peer = known.Peer;
        return expected is null || expected(peer.Id)
            ? new(peer, default, "")
            : new(null, RefusalReason.PeerIdentityUnexpected, $"the peer is {peer.Id}, which is not an identity that is accepted there");
    }

    /// <summary>Asks again about a peer that was believed once.</summary>
    public Judgement Judge(Peer peer, CertificateUsage usage, Func<SpiffeId, bool>? expected, DateTimeOffset now) =>
        Judge([.. peer.Presented.Select(certificate => certificate.Der)], usage, expected, now);

    private void Remember(Key key, Known known)
    {
        if (_known.Count >= MaxKept)
        {
            _known.Clear();
        }

        _known[key] = known;
    }

    private static bool TryParse(IReadOnlyList<ReadOnlyMemory<byte>> presented, out IReadOnlyList<Certificate> certificates, out string problem)
    {
        var read = new List<Certificate>(presented.Count);
        (certificates, problem) = (read, "");
        foreach (var der in presented)
        {
            if (!Certificate.TryParse(der, out var certificate, out problem))
            {
                return false;
            }

            read.Add(certificate);
        }

        return true;
    }

    // The lengths keep two chains apart whose bytes are the same and whose borders are not.
    private static Key KeyOf(IReadOnlyList<ReadOnlyMemory<byte>> presented, CertificateUsage usage)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var der in presented)
        {
            BitConverter.TryWriteBytes(length, der.Length);
            hash.AppendData(length);
            hash.AppendData(der.Span);
        }

        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        hash.GetHashAndReset(digest);
        return new(usage, new Int128(BitConverter.ToUInt64(digest), BitConverter.ToUInt64(digest[8..])), new Int128(BitConverter.ToUInt64(digest[16..]), BitConverter.ToUInt64(digest[24..])));
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

    private readonly record struct Key(CertificateUsage Usage, Int128 High, Int128 Low);

    private sealed record Known(Peer Peer, DateTimeOffset ValidFrom);
}
