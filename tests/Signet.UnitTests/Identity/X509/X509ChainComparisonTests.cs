using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

/// <summary>Puts the corpus to X509Chain. Where the two differ, it must be for a reason written down here.</summary>
public sealed class X509ChainComparisonTests
{
    /// <summary>Cases by the beginning of their name, and why Signet answers otherwise on purpose.</summary>
    private static readonly (string Prefix, string Why)[] Deliberate =
    [
        ("eleven intermediates", "Signet bounds the number of intermediates, ten by default"),
        ("last second of", "RFC 5280 §4.1.2.5 counts notAfter in; X509Chain leaves it out"),
        ("root has no basic constraints", "RFC 5280 §6.1.4 (k) asks them of every issuer; Signet asks them of anchors too"),
        ("explicit policy required", "Signet does not process policies, so it must refuse a critical constraint on them"),
        ("wildcard that could become", "the certificate would be good for a name that its authority may not certify"),
        ("leading dot in a DNS constraint", "RFC 5280 §4.2.1.10 gives DNS constraints no leading dot; what it means is a guess"),
        ("name constraints in a leaf", "RFC 5280 §4.2.1.10: only in an authority's certificate"),
        ("policy authority as the anchor", "an anchor need not be self-signed (RFC 5280 §6.1.1 (d))"),
        ("two roots of one name without key identifiers", "Signet tries every root of the name; X509Chain stops at the first"),
        ("cross-sign, second root known", "Signet tries every path; X509Chain follows the first intermediate"),
        ("constrained cross-sign first", "Signet tries every path; X509Chain follows the first intermediate"),
        ("wrong issuer key identifier", "key identifiers are hints (RFC 4158 §3.5.12); the signature decides"),
        ("SHA-1", "SHA-1 has been forged"),
        ("RSA with 1024 bits", "112 bits of strength are the least: RSA 2048"),
        ("brainpool", "only P-256, P-384 and P-521 are trusted"),
    ];

    [Fact]
    public void Agrees_with_X509Chain_but_for_the_reasons_given()
    {
        var differing = new List<string>();
        var used = new HashSet<string>();
        foreach (var question in ChainCorpus.All)
        {
            var ours = PathValidator.Validate(question.Request).IsValid;
            var (theirs, status) = Ask(question);
            if (ours == theirs)
            {
                continue;
            }

            var reason = Deliberate.FirstOrDefault(d => question.Name.StartsWith(d.Prefix, StringComparison.Ordinal));
            if (reason.Why is null)
            {
                differing.Add($"{question.Name}: Signet {(ours ? "valid" : question.Expected)}, X509Chain {(theirs ? "valid" : status)}");
            }

            used.Add(reason.Prefix ?? "");
        }

        Assert.True(differing.Count == 0, string.Join('\n', differing));
        Assert.Empty(Deliberate.Select(d => d.Prefix).Except(used));
    }

    private static (bool IsValid, string Status) Ask(ChainCase question)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = question.At.UtcDateTime;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(question.Usage == CertificateUsage.Server ? CertificateForge.ServerAuth : CertificateForge.ClientAuth));
        foreach (var root in question.Roots)
        {
            chain.ChainPolicy.CustomTrustStore.Add(X509CertificateLoader.LoadCertificate(root.Der.Span));
        }

        foreach (var intermediate in question.Intermediates)
        {
            chain.ChainPolicy.ExtraStore.Add(X509CertificateLoader.LoadCertificate(intermediate.Der.Span));
        }

        using var leaf = X509CertificateLoader.LoadCertificate(question.Leaf.Der.Span);
        var isValid = chain.Build(leaf);
        var status = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, s) => all | s.Status);
        foreach (var element in chain.ChainElements)
        {
            element.Certificate.Dispose();
        }

        return (isValid, status.ToString());
    }
}
