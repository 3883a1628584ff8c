using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Authority.Issuance;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Authority.Ceremony;

/// <summary>What is done beside the trust anchor's key when that is kept off the server: make the anchor, sign issuing authorities, and revoke them. No I/O.</summary>
public static class OfflineRoot
{
    /// <summary>A new trust anchor for a key.</summary>
    public static Certificate MakeAnchor(TrustDomain trustDomain, CertificateSubject subject, AsymmetricAlgorithm key, TimeSpan ttl, DateTimeOffset now) =>
        AuthorityTemplates.Anchor(trustDomain, subject, KeyPair.ExportPublicKey(key), new Validity(now - AuthorityPlan.Backdate, now + ttl)).SignSelf(key);

    /// <summary>
    /// Signs an issuing authority for the key of a request. Names in the request are never taken over: it may name the trust domain, and nothing else. The
    /// certificate never outlives the anchor. Never throws for what the request says.
    /// </summary>
    public static bool TrySign(
        Certificate anchor, AsymmetricAlgorithm anchorKey, SigningRequest request, CertificateSubject subject, TimeSpan ttl, DateTimeOffset now, [NotNullWhen(true)] out Certificate? issuing, out string problem)
    {
        issuing = null;
        if (!anchor.IsAuthority || anchor.UriNames.Count != 1 || !TrustDomain.TryParse(anchor.UriNames[0], out var trustDomain, out problem))
        {
            problem = $"{anchor} is not the anchor of a trust domain";
            return false;
        }

        if (!KeyPair.ExportPublicKey(anchorKey).AsSpan().SequenceEqual(anchor.SubjectPublicKeyInfo.Span))
        {
            problem = $"the private key is not that of {anchor}";
            return false;
        }

        if (request.AlternativeNames.Any(name => name.Kind != GeneralNameKind.Uri || name.Text != trustDomain.IdString))
        {
            problem = $"the request asks for {Printable.Of(string.Join(", ", request.AlternativeNames.Select(name => name.Text)))}; an issuing authority is named {trustDomain.IdString} and nothing else";
            return false;
        }

        var validity = SvidRenewal.Granted(ttl, AuthorityPlan.Backdate, new Validity(anchor.NotBefore, anchor.NotAfter), now);
        if (!validity.Covers(now))
        {
            problem = $"{anchor} is valid from {anchor.NotBefore:u} to {anchor.NotAfter:u}; it is {now:u}";
            return false;
        }

        var signed = AuthorityTemplates.Issuing(trustDomain, subject, request.SubjectPublicKeyInfo, validity).Sign(anchor, anchorKey);
        if (X509SvidProfile.TryCheckAuthority(signed, trustDomain, out problem))
        {
            issuing = signed;
        }

        return issuing is not null;
    }

    /// <summary>
    /// Signs a revocation list. It holds a day longer than what it revokes, so that nobody is ever left without one that counts; what an earlier list
    /// revoked stays revoked.
    /// </summary>
    /// <param name="anchor">Who revokes.</param>
    /// <param name="anchorKey">Its key.</param>
    /// <param name="certificates">Issuing authorities that it signed; one at least.</param>
    /// <param name="previous">The list before this one; null for none.</param>
    /// <param name="now">The time.</param>
    /// <param name="list">The list, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false.</param>
    public static bool TryRevoke(
        Certificate anchor, AsymmetricAlgorithm anchorKey, IReadOnlyList<Certificate> certificates, CertificateRevocationList? previous, DateTimeOffset now, [NotNullWhen(true)] out CertificateRevocationList? list, out string problem)
    {
        list = null;
        problem = !KeyPair.ExportPublicKey(anchorKey).AsSpan().SequenceEqual(anchor.SubjectPublicKeyInfo.Span) ? $"the private key is not that of {anchor}"
            : certificates.FirstOrDefault(certificate => !certificate.IssuerName.Equals(anchor.SubjectName) || !certificate.IsSignedBy(anchor)) is { } stranger ? $"{stranger} was not signed by {anchor}, which can't revoke it"
            : certificates.Contains(anchor) ? "an anchor can't revoke itself; replace it: signet authority rotate --anchor"
            : previous is not null && !previous.IsSignedBy(anchor) ? $"the previous list was not signed by {anchor}"
            : "";
        if (problem.Length > 0)
        {
            return false;
        }

        var nextUpdate = certificates.Select(certificate => certificate.NotAfter + AuthorityPlan.ListMargin).Append(previous?.NextUpdate ?? now).Max();
        var revoked = certificates.ToDictionary(certificate => certificate.SerialHex, _ => now, StringComparer.Ordinal);
        foreach (var (serial, since) in previous?.Revoked ?? new Dictionary<string, DateTimeOffset>())
        {
            revoked[serial] = since;
        }

        list = CertificateRevocationList.Sign(anchor, anchorKey, now - AuthorityPlan.Backdate, nextUpdate, (ulong)now.ToUnixTimeMilliseconds(), revoked);
        return true;
    }
}
