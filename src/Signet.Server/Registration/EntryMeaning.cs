using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Registration;

namespace Signet.Server.Registration;

/// <summary>Two entries have the same meaning when they give the same workloads the same identity: same identity, parent and set of selectors.</summary>
internal sealed class EntryMeaning : IEqualityComparer<RegistrationEntry>
{
    public static readonly EntryMeaning Same = new();

    public bool Equals(RegistrationEntry? x, RegistrationEntry? y) =>
        x is null || y is null
            ? x is null && y is null
            : x.SpiffeId == y.SpiffeId && x.ParentId == y.ParentId && (x.Selectors == y.Selectors || x.Selectors.ToHashSet().SetEquals(y.Selectors));

    public int GetHashCode([DisallowNull] RegistrationEntry entry) =>
        HashCode.Combine(entry.SpiffeId, entry.ParentId, entry.Selectors.Distinct().Aggregate(0, (hash, selector) => hash ^ selector.GetHashCode()));
}
