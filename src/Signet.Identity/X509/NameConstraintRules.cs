using System.Formats.Asn1;
using System.Net;

namespace Signet.Identity.X509;

/// <summary>
/// Name constraints (RFC 5280 §4.2.1.10, §6.1.3 (b), (c)): every authority bounds the names of all certificates below it. A constraint that cannot
/// be understood, or a name that cannot be compared with one of its kind, is a refusal.
/// </summary>
internal static class NameConstraintRules
{
    /// <summary>Names times constraints, at most, for one path.</summary>
    public const int MaxComparisons = 250_000;

    public static PathFinding? Check(IReadOnlyList<Certificate> path)
    {
        var comparisons = 0L;
        for (var i = path.Count - 1; i > 0; i--)
        {
            if (path[i].NameConstraints is not { } constraints)
            {
                continue;
            }

            foreach (var constraint in constraints.Permitted.Concat(constraints.Excluded))
            {
                if (!IsUnderstood(constraint))
                {
                    return new(PathProblem.NameConstraint, $"{path[i]} has a name constraint of kind {constraint.Kind} that is malformed: {Show(constraint)}");
                }
            }

            for (var below = i - 1; below >= 0; below--)
            {
                // Self-issued certificates are exempt, except as the last of the path (RFC 5280 §6.1.3 (b)).
                if (below > 0 && path[below].IsSelfIssued)
                {
                    continue;
                }

                var names = NamesOf(path[below]);
                comparisons += (long)names.Count * (constraints.Permitted.Count + constraints.Excluded.Count);
                if (comparisons > MaxComparisons)
                {
                    return new(PathProblem.TooComplex, $"comparing names with name constraints takes more than {MaxComparisons} steps");
                }

                if (FindViolation(names, constraints) is { } violation)
                {
                    return new(PathProblem.NameConstraint, $"{path[below]} {violation} by the name constraints of {path[i]}");
                }
            }
        }

        return null;
    }

    private static string? FindViolation(List<GeneralName> names, NameConstraints constraints)
    {
        foreach (var name in names)
        {
            if (constraints.Excluded.Any(c => c.Kind == name.Kind && IsWithin(name, c, isExclusion: true)))
            {
                return $"carries the name {Show(name)}, which is excluded";
            }

            // Only constraints of the same kind say anything about a name.
            if (constraints.Permitted.Any(c => c.Kind == name.Kind) && !constraints.Permitted.Any(c => c.Kind == name.Kind && IsWithin(name, c, isExclusion: false)))
            {
                return $"carries the name {Show(name)}, which is not permitted";
            }
        }

        return null;
    }

    /// <summary>Alternative names, the subject when there is one, and e-mail addresses in the subject when the alternative names have none.</summary>
    private static List<GeneralName> NamesOf(Certificate certificate)
    {
        var names = new List<GeneralName>(certificate.AlternativeNames);
        if (!certificate.SubjectName.IsEmpty)
        {
            names.Add(new GeneralName(GeneralNameKind.Directory, certificate.SubjectDer, ""));
        }

        if (!names.Exists(n => n.Kind == GeneralNameKind.Email))
        {
            names.AddRange(certificate.SubjectName.Values(Oids.EmailAddress).Select(e => new GeneralName(GeneralNameKind.Email, default, e)));
        }

        return names;
    }

    private static bool IsUnderstood(GeneralName constraint) => constraint.Kind switch
    {
        GeneralNameKind.Dns => constraint.Text.Length == 0 || HostName.IsWellFormed(constraint.Text),
        GeneralNameKind.Uri => HostName.IsWellFormed(WithoutDot(constraint.Text)),
        GeneralNameKind.Email => constraint.Text.Contains('@', StringComparison.Ordinal)
            ? TrySplitMailbox(constraint.Text, out _, out _)
            : HostName.IsWellFormed(WithoutDot(constraint.Text)),
        GeneralNameKind.Ip => IsNetwork(constraint.Content.Span),
        GeneralNameKind.Directory => TryReadName(constraint.Content, out _),
        _ => true,
    };

    /// <summary>When in doubt a name is inside an exclusion and outside a permission: kinds that are not compared end up refused either way.</summary>
    private static bool IsWithin(GeneralName name, GeneralName constraint, bool isExclusion) => name.Kind switch
    {
        GeneralNameKind.Dns => HostName.TrySplit(name.Text, out var isWildcard, out var host)
            ? IsInDomain(host, constraint.Text) || (isExclusion && isWildcard && MayBecome(host, constraint.Text))
            : isExclusion,
        GeneralNameKind.Uri => TryReadHost(name.Text, out var uriHost) ? IsHostOrBelow(uriHost, constraint.Text) : isExclusion,
        GeneralNameKind.Email => TrySplitMailbox(name.Text, out var user, out var mailHost) ? IsMailbox(user, mailHost, constraint.Text) : isExclusion,
        GeneralNameKind.Ip => IsInNetwork(name.Content.Span, constraint.Content.Span),
        GeneralNameKind.Directory => TryReadName(name.Content, out var directory) && TryReadName(constraint.Content, out var root) ? directory.IsWithin(root) : isExclusion,
        _ => isExclusion,
    };

    /// <summary>Zero or more labels in front of the constraint; the empty constraint is every name.</summary>
    private static bool IsInDomain(string host, string domain) => domain.Length == 0
        || (host.EndsWith(domain, StringComparison.OrdinalIgnoreCase) && (host.Length == domain.Length || host[^(domain.Length + 1)] == '.'));

    /// <summary>Whether <c>*.host</c> could stand for a name in the domain: the domain is one label in front of the host.</summary>
    private static bool MayBecome(string host, string domain)
    {
        var dot = domain.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && string.Equals(domain[(dot + 1)..], host, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>For URIs and mail hosts: <c>.example.org</c> is everything below, <c>example.org</c> is that host alone.</summary>
    private static bool IsHostOrBelow(string host, string constraint) => constraint.StartsWith('.')
        ? host.Length > constraint.Length && host.EndsWith(constraint, StringComparison.OrdinalIgnoreCase)
        : string.Equals(host, constraint, StringComparison.OrdinalIgnoreCase);

    private static bool IsMailbox(string user, string host, string constraint) => TrySplitMailbox(constraint, out var wantedUser, out var wantedHost)
        ? string.Equals(user, wantedUser, StringComparison.Ordinal) && string.Equals(host, wantedHost, StringComparison.OrdinalIgnoreCase)
        : IsHostOrBelow(host, constraint);

    private static bool TrySplitMailbox(string text, out string user, out string host)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        user = at > 0 ? text[..at] : "";
        host = at > 0 ? text[(at + 1)..] : "";
        return at > 0 && HostName.IsWellFormed(host);
    }

    /// <summary>The host of a URI with an authority (RFC 3986 §3.2). An address, or no authority, has no host that a constraint could speak of.</summary>
    private static bool TryReadHost(string uri, out string host)
    {
        host = "";
        var start = uri.IndexOf("://", StringComparison.Ordinal);
        if (start <= 0)
        {
            return false;
        }

        var authority = uri[(start + 3)..];
        var end = authority.AsSpan().IndexOfAny('/', '?', '#');
        authority = end < 0 ? authority : authority[..end];
        authority = authority[(authority.LastIndexOf('@') + 1)..];
        var colon = authority.LastIndexOf(':');
        host = colon < 0 ? authority : authority[..colon];
        return HostName.IsWellFormed(host) && !IPAddress.TryParse(host, out _);
    }

    private static bool IsNetwork(ReadOnlySpan<byte> content)
    {
        if (content.Length is not (8 or 32))
        {
            return false;
        }

        var isEnded = false;
        foreach (var b in content[(content.Length / 2)..])
        {
            for (var bit = 7; bit >= 0; bit--)
            {
                var isSet = ((b >> bit) & 1) == 1;
                if (isSet && isEnded)
                {
                    return false;
                }

                isEnded |= !isSet;
            }
        }

        return true;
    }

    private static bool IsInNetwork(ReadOnlySpan<byte> address, ReadOnlySpan<byte> network)
    {
        if (network.Length != 2 * address.Length)
        {
            return false;
        }

        for (var i = 0; i < address.Length; i++)
        {
            if (((address[i] ^ network[i]) & network[address.Length + i]) != 0)
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryReadName(ReadOnlyMemory<byte> content, out DistinguishedName name)
    {
        try
        {
            name = DistinguishedName.Parse(content);
            return true;
        }
        catch (AsnContentException)
        {
            name = DistinguishedName.Empty;
            return false;
        }
    }

    private static string WithoutDot(string text) => text.StartsWith('.') ? text[1..] : text;

    private static string Show(GeneralName name) => name.Kind switch
    {
        GeneralNameKind.Dns or GeneralNameKind.Uri or GeneralNameKind.Email => $"\"{Spiffe.Printable.Of(name.Text)}\"",
        GeneralNameKind.Ip when name.Address is { } address => address.ToString(),
        GeneralNameKind.Directory when TryReadName(name.Content, out var directory) => $"\"{directory}\"",
        _ => $"{name.Kind} {Convert.ToHexStringLower(name.Content.Span[..Math.Min(name.Content.Length, 32)])}",
    };
}
