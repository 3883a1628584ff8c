namespace Signet.Identity.X509.Revocation;

/// <summary>Which certificates of a path a list must speak for.</summary>
public enum RevocationScope
{
    /// <summary>Every certificate below the root; one that no list speaks for is refused.</summary>
    EveryCertificate,

    /// <summary>Those whose issuer has a list among those given; other issuers are taken to publish none.</summary>
    WherePublished,
}

/// <summary>Revocation by lists (RFC 5280 §6.3.3). Pure but for the signature check, which the caller provides and counts.</summary>
internal static class RevocationRules
{
    public static PathFinding? Check(IReadOnlyList<Certificate> path, PathRequest request, Func<CertificateRevocationList, Certificate, bool> isSigned)
    {
        if (request.Crls.Count == 0)
        {
            return null;
        }

        for (var i = 0; i + 1 < path.Count; i++)
        {
            if (CheckOne(path[i], path[i + 1], request, isSigned) is { } finding)
            {
                return finding;
            }
        }

        return null;
    }

    private static PathFinding? CheckOne(Certificate certificate, Certificate issuer, PathRequest request, Func<CertificateRevocationList, Certificate, bool> isSigned)
    {
        var isPublished = false;
        var isCovered = false;
        var why = "no list of its issuer was given";
        foreach (var list in request.Crls)
        {
            if (!list.IssuerName.Equals(issuer.SubjectName))
            {
                continue;
            }

            isPublished = true;
            if (Unusable(list, certificate, issuer, request.At, isSigned) is { } reason)
            {
                why = reason;
                continue;
            }

            isCovered = true;
            if (list.Contains(certificate.SerialHex, out var since))
            {
                // What the list calls revoked is revoked, whatever the date in the entry.
                return new(PathProblem.Revoked, $"{certificate} was revoked at {PathRules.Show(since)} by \"{issuer.Subject}\"");
            }
        }

        return isCovered || (!isPublished && request.RevocationScope == RevocationScope.WherePublished)
            ? null
            : new(PathProblem.RevocationUnknown, $"whether {certificate} is revoked is unknown: {why}");
    }

    private static string? Unusable(CertificateRevocationList list, Certificate certificate, Certificate issuer, DateTimeOffset at, Func<CertificateRevocationList, Certificate, bool> isSigned)
    {
        if (!list.Scope.Covers(certificate))
        {
            return $"the list number {list.NumberHex} is for other certificates of its issuer";
        }

        if (at < list.ThisUpdate)
        {
            return $"the list number {list.NumberHex} begins at {PathRules.Show(list.ThisUpdate)}; it is {PathRules.Show(at)}";
        }

        if (DerTime.IsOver(list.NextUpdate, at))
        {
            return $"the list number {list.NumberHex} ended at {PathRules.Show(list.NextUpdate)}; it is {PathRules.Show(at)}";
        }

        if (issuer.KeyUsage is { } usage && (usage & KeyUsages.CrlSign) == 0)
        {
            return $"{issuer} may not sign lists: its key usage lacks cRLSign";
        }

        if (list.SignatureAlgorithm.Weakness.Length > 0)
        {
            return $"the list number {list.NumberHex} cannot be trusted: {list.SignatureAlgorithm.Weakness}";
        }

        return isSigned(list, issuer) ? null : $"the signature of the list number {list.NumberHex} was not made by the key of {issuer}";
    }
}
