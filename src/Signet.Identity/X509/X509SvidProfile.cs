using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>The rules of X509-SVID.md for one certificate by itself, leaf or signing. Pure, thread-safe.</summary>
public static class X509SvidProfile
{
    /// <summary>
    /// The SPIFFE ID of a leaf: there is exactly one URI name, it is a SPIFFE ID and it has a path (§2, §3.1, §5.2).
    /// DNS names and addresses may stand beside it.
    /// </summary>
    public static bool TryReadId(Certificate leaf, [NotNullWhen(true)] out SpiffeId? id, out string problem)
    {
        if (!TryReadOnlyUri(leaf, out id, out problem))
        {
            return false;
        }

        if (id is null)
        {
            problem = "it has no URI name; an X509-SVID has exactly one";
            return false;
        }

        if (!id.HasPath)
        {
            problem = $"its SPIFFE ID {id} has no path: it is the ID of a signing certificate, not of a workload";
            id = null;
            return false;
        }

        return true;
    }

    /// <summary>Whether the certificate keeps every rule for a workload's SVID; the ID is given with a yes.</summary>
    public static bool TryCheckLeaf(Certificate leaf, [NotNullWhen(true)] out SpiffeId? id, out string problem)
    {
        if (!TryReadId(leaf, out id, out problem))
        {
            return false;
        }

        problem = FindLeafProblems(leaf).FirstOrDefault() ?? "";
        id = problem.Length == 0 ? id : null;
        return id is not null;
    }

    /// <summary>
    /// Whether the certificate keeps every rule for a signing certificate. One that carries a SPIFFE ID is an SVID and keeps them to the letter;
    /// one that carries none (a company's own root, say) is held to RFC 5280 where the two differ.
    /// </summary>
    /// <param name="authority">The certificate.</param>
    /// <param name="trustDomain">The trust domain that it must belong to if it names one; null for any.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryCheckAuthority(Certificate authority, TrustDomain? trustDomain, out string problem)
    {
        if (TryReadOnlyUri(authority, out var id, out problem))
        {
            problem = FindAuthorityProblems(authority, id, trustDomain).FirstOrDefault() ?? "";
        }

        return problem.Length == 0;
    }

    /// <summary>Every rule that the certificate breaks, as a workload's or as a signing certificate; empty when it breaks none.</summary>
    public static IReadOnlyList<string> FindProblems(Certificate certificate)
    {
        if (certificate.IsAuthority)
        {
            return TryReadOnlyUri(certificate, out var id, out var problem) ? [.. FindAuthorityProblems(certificate, id, null)] : [problem];
        }

        return TryReadId(certificate, out _, out var idProblem) ? [.. FindLeafProblems(certificate)] : [idProblem, .. FindLeafProblems(certificate)];
    }

    private static IEnumerable<string> FindLeafProblems(Certificate leaf)
    {
        if (leaf is { SubjectName.IsEmpty: true, AreAlternativeNamesCritical: false })
        {
            yield return "its subject is empty, so its alternative names must be critical (X509-SVID §3.1)";
        }

        if (leaf.IsAuthority)
        {
            yield return "it is an authority (cA=true); a workload's certificate must not be (X509-SVID §5.2)";
        }

        if (leaf.KeyUsage is null)
        {
            yield return "it has no key usage (X509-SVID §4.3)";
        }
        else
        {
            if (!leaf.IsKeyUsageCritical)
            {
                yield return "its key usage is not critical (X509-SVID §4.3)";
            }

            if (Has(leaf, KeyUsages.KeyCertSign))
            {
                yield return "its key usage has keyCertSign; a workload's must not (X509-SVID §5.2)";
            }

            if (Has(leaf, KeyUsages.CrlSign))
            {
                yield return "its key usage has cRLSign; a workload's must not (X509-SVID §5.2)";
            }

            if (!Has(leaf, KeyUsages.DigitalSignature))
            {
                yield return "its key usage lacks digitalSignature (X509-SVID §4.3)";
            }
        }

        if (leaf.ExtendedKeyUsages is { } purposes && (!purposes.Contains(Oids.ServerAuth) || !purposes.Contains(Oids.ClientAuth)))
        {
            yield return "its extended key usage lacks serverAuth or clientAuth; when there is one it must have both (X509-SVID §4.4)";
        }
    }

    private static IEnumerable<string> FindAuthorityProblems(Certificate authority, SpiffeId? id, TrustDomain? trustDomain)
    {
        if (!authority.IsAuthority)
        {
            yield return "it is not an authority (cA=true is missing); a signing certificate must be (X509-SVID §4.1)";
        }

        if (authority.KeyUsage is null)
        {
            if (id is not null)
            {
                yield return "it has no key usage (X509-SVID §4.3)";
            }
        }
        else
        {
            if (!Has(authority, KeyUsages.KeyCertSign))
            {
                yield return "its key usage lacks keyCertSign (X509-SVID §4.3)";
            }

            if (id is not null && !authority.IsKeyUsageCritical)
            {
                yield return "its key usage is not critical (X509-SVID §4.3)";
            }
        }

        if (id is { HasPath: true })
        {
            yield return $"its SPIFFE ID {id} has a path; a signing certificate's must not (X509-SVID §3.2)";
        }

        if (id is not null && trustDomain is not null && id.TrustDomain != trustDomain)
        {
            yield return $"it is an authority of the trust domain {id.TrustDomain}, not of {trustDomain} (X509-SVID §3.2)";
        }
    }

    private static bool TryReadOnlyUri(Certificate certificate, out SpiffeId? id, out string problem)
    {
        id = null;
        problem = "";
        if (certificate.UriNames.Count > 1)
        {
            problem = $"it has {certificate.UriNames.Count} URI names; an X509-SVID has exactly one (X509-SVID §2)";
            return false;
        }

        return certificate.UriNames.Count == 0 || SpiffeId.TryParse(certificate.UriNames[0], out id, out problem);
    }

    private static bool Has(Certificate certificate, KeyUsages usage) => certificate.KeyUsage is { } usages && (usages & usage) == usage;
}
