using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Hosting.Acme;

/// <summary>A certificate of the web with its key, ready for TLS. Immutable.</summary>
public sealed class WebCertificate
{
    private WebCertificate(Certificate leaf, SslStreamCertificateContext context) => (Leaf, Context) = (leaf, context);

    public Certificate Leaf { get; }

    /// <summary>For the accepting side of TLS, with what stands above the leaf.</summary>
    public SslStreamCertificateContext Context { get; }

    /// <summary>Reads chain (leaf first) and key, PEM. Never throws.</summary>
    /// <param name="chainText">Holds the chain.</param>
    /// <param name="keyText">Holds the key; may be the same text.</param>
    /// <param name="keyFile">Where the key is from, for the problem; empty for nowhere.</param>
    /// <param name="certificate">The certificate, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false.</param>
    public static bool TryRead(string chainText, string keyText, string keyFile, [NotNullWhen(true)] out WebCertificate? certificate, out string problem)
    {
        certificate = null;
        if (!Pem.TryReadCertificates(chainText, out var chain, out problem))
        {
            return false;
        }

        if (!Pem.TryReadPrivateKey(keyText, out var key, out problem))
        {
            problem = keyFile.Length > 0 ? $"can't be used: {keyFile}: {problem}" : problem;
            return false;
        }

        using (key)
        {
            if (!chain[0].SubjectPublicKeyInfo.Span.SequenceEqual(KeyPair.ExportPublicKey(key)))
            {
                problem = $"can't be used: the key{(keyFile.Length > 0 ? $" in {keyFile}" : "")} is not that of the first certificate";
                return false;
            }

            if (key is not (ECDsa or RSA))
            {
                problem = $"can't be used: the key{(keyFile.Length > 0 ? $" in {keyFile}" : "")} is an Ed25519 key, which browsers and this endpoint do not take; use an EC or RSA key";
                return false;
            }

            using var bare = X509CertificateLoader.LoadCertificate(chain[0].Der.Span);
            var leaf = key is ECDsa ec ? bare.CopyWithPrivateKey(ec) : bare.CopyWithPrivateKey((RSA)key);
            var context = SslStreamCertificateContext.Create(leaf, [.. chain.Skip(1).Select(one => X509CertificateLoader.LoadCertificate(one.Der.Span))], offline: true);
            certificate = new WebCertificate(chain[0], context);
            return true;
        }
    }

    /// <summary>Why another certificate is to be ordered now; null when none is.</summary>
    /// <param name="held">What there is; null for nothing.</param>
    /// <param name="names">What is wanted.</param>
    /// <param name="now">The time.</param>
    internal static string? WhyRenew(WebCertificate? held, IReadOnlyList<string> names, DateTimeOffset now) =>
        held is null ? "there is none yet"
        : names.Except(held.Leaf.DnsNames, StringComparer.OrdinalIgnoreCase).FirstOrDefault() is { } missing ? $"{missing} is not in the one there is"
        : RotationRule.Authority.Next(new Validity(held.Leaf.NotBefore, held.Leaf.NotAfter), next: null, now) == RotationStep.Prepare ? $"the one there is, {held.Leaf.SerialHex}, is valid until {held.Leaf.NotAfter:u}"
        : null;
}
