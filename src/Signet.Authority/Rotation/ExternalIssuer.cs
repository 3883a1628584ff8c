using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Authority.Issuance;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>An issuing authority that somebody else made, with the anchors that relying parties must trust. Checked whole when it is created.</summary>
public sealed class ExternalIssuer
{
    private ExternalIssuer(IReadOnlyList<Certificate> chain, AsymmetricAlgorithm key, IReadOnlyList<Certificate> anchors, Certificate anchor) =>
        (Certificate, Above, Key, Anchors, Anchor) = (chain[0], [.. chain.Skip(1)], key, anchors, anchor);

    public Certificate Certificate { get; }

    /// <summary>Its private key.</summary>
    public AsymmetricAlgorithm Key { get; }

    /// <summary>Authorities between it and the anchor, nearest first.</summary>
    public IReadOnlyList<Certificate> Above { get; }

    /// <summary>All anchors to be published.</summary>
    public IReadOnlyList<Certificate> Anchors { get; }

    /// <summary>The one that it stands below.</summary>
    public Certificate Anchor { get; }

    /// <summary>Puts the parts together when an SVID signed with them would be believed by whoever trusts the anchors. Never throws.</summary>
    /// <param name="trustDomain">Whose authority it is to be.</param>
    /// <param name="chain">The issuing authority, then what stands between it and an anchor; the anchor itself may be at the end.</param>
    /// <param name="key">The issuing authority's.</param>
    /// <param name="anchors">One at least.</param>
    /// <param name="now">The time.</param>
    /// <param name="issuer">The issuer, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false.</param>
    public static bool TryCreate(
        TrustDomain trustDomain, IReadOnlyList<Certificate> chain, AsymmetricAlgorithm key, IReadOnlyList<Certificate> anchors, DateTimeOffset now, [NotNullWhen(true)] out ExternalIssuer? issuer, out string problem)
    {
        issuer = null;
        chain = [.. chain.Where(certificate => !anchors.Contains(certificate))];
        if (chain.Count == 0 || anchors.Count is 0 or > X509Bundle.MaxAuthorities)
        {
            problem = $"{chain.Count} certificates below {anchors.Count} anchors; at least one of each is needed: a trust anchor does not sign SVIDs itself";
            return false;
        }

        if (!KeyPair.ExportPublicKey(key).AsSpan().SequenceEqual(chain[0].SubjectPublicKeyInfo.Span))
        {
            problem = $"the private key is not that of {chain[0]}";
            return false;
        }

        if (anchors.Concat(chain).FirstOrDefault(certificate => !certificate.IsAuthority) is { } leaf)
        {
            problem = $"{leaf} is not an authority (cA=true is missing)";
            return false;
        }

        // Whether it holds is asked of the code that every relying party uses, with an SVID made for the question.
        using var probeKey = KeyPair.Generate(KeyType.EcP256);
        var probe = CertificateTemplate.Leaf(ReservedIds.Server(trustDomain), KeyPair.ExportPublicKey(probeKey), now, now.AddMinutes(1)).Sign(chain[0], key);
        var verdict = SvidVerifier.Verify([probe, .. chain], TrustBundles.Of(X509Bundle.Create(trustDomain, anchors)), CertificateUsage.Any, now);
        if (!verdict.IsTrusted)
        {
            problem = $"an SVID that it signs would be refused: {verdict.Reason}";
            return false;
        }

        (issuer, problem) = (new ExternalIssuer([.. verdict.Path.Skip(1).SkipLast(1)], key, anchors, verdict.Path[^1]), "");
        return true;
    }

    /// <summary>Makes an issuing authority below one whose key is at hand, as the plan has it. It never outlives what stands above it. Never throws.</summary>
    /// <param name="plan">What issuing authorities look like.</param>
    /// <param name="signer">The authority that signs it, then what stands between that and an anchor; that or the last may be the anchor itself.</param>
    /// <param name="signerKey">The signer's.</param>
    /// <param name="anchors">One at least.</param>
    /// <param name="now">The time.</param>
    /// <param name="issuer">The issuer, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false.</param>
    public static bool TryMake(
        AuthorityPlan plan, IReadOnlyList<Certificate> signer, AsymmetricAlgorithm signerKey, IReadOnlyList<Certificate> anchors, DateTimeOffset now, [NotNullWhen(true)] out ExternalIssuer? issuer, out string problem)
    {
        issuer = null;
        if (!KeyPair.ExportPublicKey(signerKey).AsSpan().SequenceEqual(signer[0].SubjectPublicKeyInfo.Span))
        {
            problem = $"the private key is not that of {signer[0]}";
            return false;
        }

        var validity = signer.Concat(anchors).Aggregate(
            new Validity(now - AuthorityPlan.Backdate, now + plan.IssuingTtl), (granted, above) => SvidRenewal.Granted(granted.NotAfter - now, AuthorityPlan.Backdate, new Validity(above.NotBefore, above.NotAfter), now));
        if (!validity.Covers(now))
        {
            problem = $"{signer[0]} is valid from {signer[0].NotBefore:u} to {signer[0].NotAfter:u}; it is {now:u}";
            return false;
        }

        var key = KeyPair.Generate(plan.KeyType);
        var certificate = AuthorityTemplates.Issuing(plan.TrustDomain, plan.Subject, KeyPair.ExportPublicKey(key), validity).Sign(signer[0], signerKey);
        if (TryCreate(plan.TrustDomain, [certificate, .. signer], key, anchors, now, out issuer, out problem))
        {
            return true;
        }

        key.Dispose();
        return false;
    }

    /// <summary>Without the key.</summary>
    public override string ToString() => $"{Certificate} below {Anchor}";
}
