using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Hosting.Acme;

/// <summary>A certificate of the web with its key, ready for TLS. Immutable.</summary>
internal sealed class HeldCertificate
{
    private HeldCertificate(Certificate leaf, SslStreamCertificateContext context) => (Leaf, Context) = (leaf, context);

    public Certificate Leaf { get; }

    public SslStreamCertificateContext Context { get; }

    /// <summary>Reads chain (leaf first) and key, PEM. Never throws.</summary>
    public static bool TryRead(string chainText, string keyText, [NotNullWhen(true)] out HeldCertificate? held, out string problem)
    {
        held = null;
        if (!Pem.TryReadCertificates(chainText, out var chain, out problem) || !Pem.TryReadPrivateKey(keyText, out var key, out problem))
        {
            return false;
        }

        using (key)
        {
            if (key is not ECDsa ec || !KeyPair.ExportPublicKey(key).AsSpan().SequenceEqual(chain[0].SubjectPublicKeyInfo.Span))
            {
                problem = $"the key is not that of {chain[0]}";
                return false;
            }

            using var bare = X509CertificateLoader.LoadCertificate(chain[0].Der.Span);
            var context = SslStreamCertificateContext.Create(bare.CopyWithPrivateKey(ec), [.. chain.Skip(1).Select(one => X509CertificateLoader.LoadCertificate(one.Der.Span))], offline: true);
            held = new HeldCertificate(chain[0], context);
            return true;
        }
    }

    /// <summary>Why another certificate is to be ordered now; null when none is.</summary>
    /// <param name="held">What there is; null for nothing.</param>
    /// <param name="names">What is wanted.</param>
    /// <param name="now">The time.</param>
    public static string? WhyRenew(HeldCertificate? held, IReadOnlyList<string> names, DateTimeOffset now) =>
        held is null ? "there is none yet"
        : names.Except(held.Leaf.DnsNames, StringComparer.OrdinalIgnoreCase).FirstOrDefault() is { } missing ? $"{missing} is not in the one there is"
        : RotationRule.Authority.Next(new Validity(held.Leaf.NotBefore, held.Leaf.NotAfter), next: null, now) == RotationStep.Prepare ? $"the one there is, {held.Leaf.SerialHex}, is valid until {held.Leaf.NotAfter:u}"
        : null;
}
