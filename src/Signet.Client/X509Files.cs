using System.Diagnostics.CodeAnalysis;
using Signet.Identity.X509;

namespace Signet.Client;

/// <summary>
/// An identity that lies in three PEM files: certificate chain (leaf first), PKCS#8 key, and the roots of the own trust domain. The key's file may instead
/// name a key that an OpenSSL provider or engine holds, in one line: <c>provider:tpm2:handle:0x81000001</c>, <c>engine:NAME:ID</c>.
/// </summary>
public static class X509Files
{
    /// <summary>Reads the texts of the three files. Never throws.</summary>
    public static bool TryRead(string certificatePem, string keyPem, string rootsPem, [NotNullWhen(true)] out X509Context? context, out string problem)
    {
        context = null;
        if (!Pem.TryReadCertificates(certificatePem, out var chain, out problem)
            || !(HeldKey.IsNamedIn(keyPem) ? HeldKey.TryOpen(keyPem, out var key, out problem) : Pem.TryReadPrivateKey(keyPem, out key, out problem))
            || !X509Svid.TryCreate(chain, key, hint: null, out var svid, out problem)
            || !Pem.TryReadCertificates(rootsPem, out var roots, out problem))
        {
            return false;
        }

        context = new X509Context([svid], TrustBundles.Of(X509Bundle.Create(svid.Id.TrustDomain, roots, sequence: null, refreshHint: null)));
        return true;
    }
}
