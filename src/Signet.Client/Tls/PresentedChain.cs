using System.Security.Cryptography.X509Certificates;
using Certificate = Signet.Identity.X509.Certificate;

namespace Signet.Client.Tls;

/// <summary>The certificates exactly as a TLS peer sent them, leaf first: raw bytes for our own verifier, not what a chain engine made of them.</summary>
public static class PresentedChain
{
    /// <summary>More certificates than this in one handshake are refused.</summary>
    public const int MaxCertificates = 10;

    /// <summary>Reads the arguments of a <see cref="System.Net.Security.RemoteCertificateValidationCallback"/>. Never throws.</summary>
    /// <param name="leaf">The peer's certificate; null when it sent none, which gives an empty list.</param>
    /// <param name="chain">Carries the peer's intermediates in its extra store.</param>
    /// <param name="presented">Leaf first, then whatever else was sent, in order.</param>
    /// <param name="problem">Why the chain cannot be read, when the answer is false.</param>
    public static bool TryRead(X509Certificate? leaf, X509Chain? chain, out IReadOnlyList<Certificate> presented, out string problem)
    {
        presented = [];
        problem = "";
        if (leaf is null)
        {
            return true;
        }

        var extra = chain?.ChainPolicy.ExtraStore.Count ?? 0;
        if (extra >= MaxCertificates)
        {
            problem = $"the peer sent {extra + 1} certificates; the limit is {MaxCertificates}";
            return false;
        }

        var read = new List<Certificate>(extra + 1);
        foreach (var der in Ders(leaf, chain))
        {
            if (!Certificate.TryParse(der, out var certificate, out problem))
            {
                return false;
            }

            // The platform repeats the leaf among the extra certificates on some paths.
            if (read.Count == 0 || !certificate.Equals(read[0]))
            {
                read.Add(certificate);
            }
        }

        presented = read;
        return true;
    }

    private static IEnumerable<byte[]> Ders(X509Certificate leaf, X509Chain? chain)
    {
        yield return leaf.GetRawCertData();
        foreach (var extra in chain?.ChainPolicy.ExtraStore ?? [])
        {
            yield return extra.RawData;
        }
    }
}
