using System.Collections.Immutable;
using Signet.Identity.Spiffe;

namespace Signet.Server.Access;

/// <summary>A named set of actions.</summary>
public sealed record Role(string Name, ImmutableHashSet<AccessAction> Actions)
{
    /// <summary>Everything.</summary>
    public static Role Admin { get; } = new("admin", [.. AccessActions.All]);

    /// <summary>Looking only.</summary>
    public static Role Viewer { get; } = new("viewer", [.. AccessActions.Matching("*.read")]);
}

/// <summary>A role, and where it counts.</summary>
/// <param name="Role">What may be done.</param>
/// <param name="Paths">To which SPIFFE IDs it may be done: those whose path is, or lies below, one of these. Empty for everything, also for what has no ID.</param>
/// <param name="DnsNames">With <paramref name="Paths"/>: the DNS names, and those below them, that certificates may get.</param>
/// <param name="Origin">Where the grant comes from, for those who ask why.</param>
public sealed record Grant(Role Role, ImmutableArray<string> Paths, ImmutableArray<string> DnsNames, string Origin)
{
    /// <summary>Everything that the role allows, everywhere.</summary>
    public static Grant Everywhere(Role role, string origin) => new(role, [], [], origin);

    public bool IsEverywhere => Paths.IsEmpty;

    /// <summary>Whether the ID lies below one of the paths. <c>/ns/prod</c> covers <c>/ns/prod/web</c> and not <c>/ns/production</c>.</summary>
    public bool Covers(SpiffeId id) => IsEverywhere || Paths.Any(path => IsAtOrBelow(id.Path, path.TrimEnd('/')));

    /// <summary>Whether a certificate may carry the name.</summary>
    public bool CoversDns(string name) => IsEverywhere || DnsNames.Any(allowed =>
        name == allowed || (name.Length > allowed.Length && name.EndsWith(allowed, StringComparison.OrdinalIgnoreCase) && name[^(allowed.Length + 1)] == '.'));

    public override string ToString() => $"role {Role.Name} by {Origin}{(IsEverywhere ? "" : $", below {string.Join(", ", Paths)}")}";

    private static bool IsAtOrBelow(string path, string prefix) =>
        path.StartsWith(prefix, StringComparison.Ordinal) && (path.Length == prefix.Length || path[prefix.Length] == '/');
}
