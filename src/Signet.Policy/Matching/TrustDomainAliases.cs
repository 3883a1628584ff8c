namespace Signet.Policy;

/// <summary>A mesh that is renaming its trust domain goes by several names; a principal written with one of them means all.</summary>
internal static class TrustDomainAliases
{
    /// <summary>In a principal, this name always stands for the mesh's own trust domain, whatever that is called.</summary>
    private const string LocalPointer = "cluster.local";

    /// <summary>The principals that a written one stands for; itself, when it names no trust domain of the mesh.</summary>
    public static IReadOnlyList<string> OfPrincipal(string principal, IReadOnlyList<string> trustDomains)
    {
        var parts = principal.Split('/');
        if (parts.Length != 5 || parts[0] == "*")
        {
            return [principal];
        }

        var written = parts[0];
        if (written != LocalPointer && !trustDomains.Any(name => name == written || Covers(written, name)))
        {
            return [principal];
        }

        // "*-td" already covers "old-td": it is kept as it is for the names that it covers.
        var rest = principal[written.Length..];
        return [.. trustDomains.Select(name => Covers(written, name) ? principal : name + rest).Distinct(StringComparer.Ordinal)];
    }

    private static bool Covers(string pattern, string name) => pattern.StartsWith('*') && name.EndsWith(pattern[1..], StringComparison.Ordinal);
}
