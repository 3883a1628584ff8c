using System.Globalization;
using Signet.Identity.Spiffe;
using Signet.Identity.X509.Revocation;

namespace Signet.Identity.X509;

/// <summary>The rules of RFC 5280 §6.1 and of the profiles, as pure functions: null when the rule holds, otherwise the finding.</summary>
internal static class PathRules
{
    private const int MaxShownNames = 5;

    /// <summary>Rules for an issuer that need no more than the certificate itself, so that a search can turn back early.</summary>
    public static PathFinding? CheckIssuer(Certificate issuer, Certificate child, PathRequest request) =>
        CheckStrength(issuer, child) ?? CheckRights(issuer) ?? CheckTime(issuer, request.At);

    /// <summary>Rules for a whole path whose signatures hold, leaf first, anchor last.</summary>
    public static PathFinding? CheckPath(IReadOnlyList<Certificate> path, PathRequest request, Func<CertificateRevocationList, Certificate, bool> isSigned) =>
        CheckPathLengths(path)
        ?? CheckCriticalExtensions(path)
        ?? NameConstraintRules.Check(path)
        ?? CheckPurposes(path, request)
        ?? CheckProfile(path, request)
        ?? RevocationRules.Check(path, request, isSigned)
        ?? CheckTime(path[0], request.At)
        ?? CheckName(path[0], request);

    private static PathFinding? CheckStrength(Certificate issuer, Certificate child)
    {
        var weakness = child.SignatureAlgorithm.Weakness.Length > 0 ? child.SignatureAlgorithm.Weakness : child.PublicKey.Weakness;
        if (weakness.Length > 0)
        {
            return new(PathProblem.WeakAlgorithm, $"{child}: {weakness}");
        }

        return issuer.PublicKey.Weakness.Length > 0 ? new(PathProblem.WeakAlgorithm, $"{issuer}: {issuer.PublicKey.Weakness}") : null;
    }

    private static PathFinding? CheckRights(Certificate issuer)
    {
        // RFC 5280 §6.1.4 (k), (n).
        if (!issuer.IsAuthority)
        {
            return new(PathProblem.NotAnAuthority, $"{issuer} is not an authority: its basic constraints do not say cA=true");
        }

        if (issuer.KeyUsage is { } usage && (usage & KeyUsages.KeyCertSign) == 0)
        {
            return new(PathProblem.KeyUsage, $"{issuer} may not sign certificates: its key usage lacks keyCertSign");
        }

        return null;
    }

    private static PathFinding? CheckTime(Certificate certificate, DateTimeOffset at)
    {
        if (!certificate.HasBegun(at))
        {
            return new(PathProblem.NotYetValid, $"{certificate} is valid from {Show(certificate.NotBefore)}; it is {Show(at)}");
        }

        return certificate.HasEnded(at) ? new(PathProblem.Expired, $"{certificate} expired at {Show(certificate.NotAfter)}; it is {Show(at)}") : null;
    }

    private static PathFinding? CheckPathLengths(IReadOnlyList<Certificate> path)
    {
        // RFC 5280 §6.1.4 (l), (m): certificates between this one and the leaf, self-issued ones not counted.
        var below = 0;
        for (var i = 1; i < path.Count; i++)
        {
            if (path[i].BasicConstraints?.PathLength is { } limit && below > limit)
            {
                return new(PathProblem.PathLength, $"{path[i]} allows {limit} authorities below it; the path has {below}");
            }

            below += path[i].IsSelfIssued ? 0 : 1;
        }

        return null;
    }

    private static PathFinding? CheckCriticalExtensions(IReadOnlyList<Certificate> path)
    {
        // RFC 5280 §6.1.4 (o), §6.1.5 (f).
        foreach (var certificate in path)
        {
            foreach (var (oid, isCritical, _) in certificate.Extensions)
            {
                if (isCritical && !IsUnderstood(oid))
                {
                    return new(PathProblem.UnknownCriticalExtension, $"{certificate} has the critical extension {oid}, which Signet does not know");
                }
            }
        }

        return null;
    }

    // Certificate policies are understood in that any policy will do, so nothing in them can refuse a path (RFC 5280 §6.1.1 (c)); policy
    // constraints can, and are not. Key identifiers and access information must never be critical (§4.2.1.1, §4.2.1.2, §4.2.2.1).
    private static bool IsUnderstood(string oid) => oid is Oids.BasicConstraints or Oids.KeyUsage or Oids.ExtendedKeyUsage or Oids.SubjectAltName
        or Oids.NameConstraints or Oids.CertificatePolicies or Oids.PolicyMappings or Oids.InhibitAnyPolicy or Oids.CrlDistributionPoints or Oids.IssuerAltName;

    private static PathFinding? CheckPurposes(IReadOnlyList<Certificate> path, PathRequest request)
    {
        // RFC 5280 §4.2.1.12; an authority's purposes bound those of everything below it, as every validator of the web does.
        foreach (var purpose in Wanted(request.Usage))
        {
            foreach (var certificate in path)
            {
                if (certificate.ExtendedKeyUsages is { } allowed && !allowed.Contains(purpose.Oid) && !(certificate.IsAuthority && allowed.Contains(Oids.AnyExtendedKeyUsage)))
                {
                    return new(PathProblem.ExtendedKeyUsage, $"{certificate} may not be used for {purpose.Name}: its extended key usage does not say so");
                }
            }
        }

        return null;
    }

    private static IEnumerable<(string Oid, string Name)> Wanted(CertificateUsage usage)
    {
        if (usage == CertificateUsage.Server)
        {
            yield return (Oids.ServerAuth, "servers");
        }

        if (usage == CertificateUsage.Client)
        {
            yield return (Oids.ClientAuth, "clients");
        }
    }

    private static PathFinding? CheckProfile(IReadOnlyList<Certificate> path, PathRequest request)
    {
        if (path[0] is { NameConstraints: not null, IsAuthority: false })
        {
            return new(PathProblem.Profile, $"{path[0]} has name constraints, but is not an authority (RFC 5280 §4.2.1.10)");
        }

        return request.Profile switch
        {
            PathProfile.Spiffe => CheckSpiffe(path),
            PathProfile.WebPki => WebPkiProfile.Check(path),
            _ => null,
        };
    }

    private static PathFinding? CheckSpiffe(IReadOnlyList<Certificate> path)
    {
        if (!X509SvidProfile.TryCheckLeaf(path[0], out var id, out var problem))
        {
            return new(PathProblem.Profile, $"{path[0]}: {problem}");
        }

        for (var i = 1; i < path.Count; i++)
        {
            if (!X509SvidProfile.TryCheckAuthority(path[i], id.TrustDomain, out problem))
            {
                return new(PathProblem.Profile, $"{path[i]}: {problem}");
            }
        }

        return null;
    }

    private static PathFinding? CheckName(Certificate leaf, PathRequest request)
    {
        if (request.ExpectedId is { } expected && !(leaf.UriNames is [var only] && only == expected.Uri))
        {
            return new(PathProblem.NameMismatch, $"{leaf} is not {expected}: it carries {Carried(leaf.UriNames)}");
        }

        var addresses = leaf.IpAddresses.Select(a => a.ToString());
        if (request.DnsName is { } name && !HostName.IsCarriedBy(name, leaf))
        {
            return new(PathProblem.NameMismatch, $"{leaf} is not for the host \"{Printable.Of(name)}\": it carries {Carried([.. leaf.DnsNames, .. addresses])}");
        }

        return request.IpAddress is { } address && !HostName.IsCarriedBy(address, leaf)
            ? new(PathProblem.NameMismatch, $"{leaf} is not for the address {address}: it carries {Carried([.. addresses])}")
            : null;
    }

    private static string Carried(IReadOnlyList<string> names)
    {
        var shown = string.Join(", ", names.Take(MaxShownNames).Select(n => $"\"{Printable.Of(n)}\""));
        return names.Count switch
        {
            0 => "no such name",
            > MaxShownNames => $"{shown} and {names.Count - MaxShownNames} more",
            _ => shown,
        };
    }

    public static string Show(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
