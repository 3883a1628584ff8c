namespace Signet.Policy;

/// <summary>Hosts of services: short names, and wildcards that stand for whole suffixes.</summary>
internal static class HostName
{
    private const string ServiceSuffix = ".svc.cluster.local";

    /// <summary>The longest host that is accepted, in characters.</summary>
    public const int MaxLength = 255;

    /// <summary>A name without dots gets its namespace and the cluster's domain, in lower case.</summary>
    public static string Complete(string host, string ns)
    {
        host = host.ToLowerInvariant();
        return host.Contains('.', StringComparison.Ordinal) || host.Contains('*', StringComparison.Ordinal) ? host : host + "." + ns + ServiceSuffix;
    }

    /// <summary>Whether a rule's host covers a service's. <c>*.foo.com</c> does not cover <c>foo.com</c>; <c>*</c> covers all.</summary>
    public static bool Covers(string pattern, string host) =>
        pattern.StartsWith('*') ? host.Length >= pattern.Length - 1 && host.EndsWith(pattern[1..], StringComparison.Ordinal) : pattern == host;

    /// <summary>Higher is more specific: exact names before wildcards, among those the longest suffix.</summary>
    public static int Specificity(string pattern) => pattern.StartsWith('*') ? pattern.Length : int.MaxValue;
}
