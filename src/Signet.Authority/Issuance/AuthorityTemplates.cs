using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Authority.Issuance;

/// <summary>What certificates of authorities say, whoever signs them: the server by itself, or an operator beside the offline root.</summary>
internal static class AuthorityTemplates
{
    private const int IssuingPathLength = 0;

    public static CertificateTemplate Anchor(TrustDomain trustDomain, CertificateSubject subject, ReadOnlyMemory<byte> publicKey, Validity validity) =>
        Named(CertificateTemplate.Authority(trustDomain, publicKey, validity.NotBefore, validity.NotAfter, "trust anchor"), trustDomain, subject, "trust anchor");

    public static CertificateTemplate Issuing(TrustDomain trustDomain, CertificateSubject subject, ReadOnlyMemory<byte> publicKey, Validity validity) =>
        Named(CertificateTemplate.Authority(trustDomain, publicKey, validity.NotBefore, validity.NotAfter, "issuing authority", IssuingPathLength), trustDomain, subject, "issuing authority");

    private static CertificateTemplate Named(CertificateTemplate template, TrustDomain trustDomain, CertificateSubject subject, string role) => template with
    {
        Subject = subject.ToName($"{(subject.CommonName.Length > 0 ? subject.CommonName : trustDomain.Name)} {role}", Convert.ToHexStringLower(template.Serial.Span)),
    };
}
