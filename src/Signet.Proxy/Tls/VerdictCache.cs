using System.Collections.Concurrent;
using System.Security.Cryptography;
using Signet.Identity.X509;

namespace Signet.Proxy.Tls;

/// <summary>
/// Remembers who is behind a chain of certificates for as long as every certificate in the path and every revocation list that was asked is valid; refusals are not remembered. Whoever
/// owns it lets it go with what its answers rested on. Thread-safe.
/// </summary>
internal sealed class VerdictCache
{
    internal const int MaxKept = 4096;

    private readonly ConcurrentDictionary<Key, Finding> _known = new();

    /// <summary>A verifier's answer: a peer, and from when until when the answer holds; or why there is none.</summary>
    public sealed record Finding(Peer? Peer, DateTimeOffset ValidFrom, DateTimeOffset ValidUntil, RefusalReason Reason, string Detail)
    {
        public static Finding Believed(Peer peer, DateTimeOffset from, DateTimeOffset until) => new(peer, from, until, default, "");

        public static Finding Refused(RefusalReason reason, string detail) => new(null, default, default, reason, detail);
    }

    internal int Count => _known.Count;

    /// <param name="presented">DER, leaf first; empty when the peer sent none.</param>
    /// <param name="usage">What the peer is to this side.</param>
    /// <param name="now">The time of the question.</param>
    /// <param name="verify">Answers when the chain is not known.</param>
    public Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, CertificateUsage usage, DateTimeOffset now, Func<IReadOnlyList<Certificate>, Finding> verify)
    {
        var key = KeyOf(presented, usage);
        if (_known.TryGetValue(key, out var known) && now >= known.ValidFrom && now <= known.ValidUntil)
        {
            return new(known.Peer, default, "");
        }

        if (!TryParse(presented, out var certificates, out var problem))
        {
            return new(null, RefusalReason.PeerCertificateInvalid, problem);
        }

        var finding = verify(certificates);
        if (finding.Peer is not null)
        {
            Remember(key, finding);
        }

        return new(finding.Peer, finding.Reason, finding.Detail);
    }

    private void Remember(Key key, Finding known)
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

    private readonly record struct Key(CertificateUsage Usage, Int128 High, Int128 Low);
}
