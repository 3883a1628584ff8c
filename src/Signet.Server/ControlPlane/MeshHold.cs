using System.Collections.Immutable;
using Signet.Policy;

namespace Signet.Server.ControlPlane;

/// <summary>
/// Sets texts with a mistake aside, so that others go on. A namespace with a mistake stays whole as it was: of its policies, a removal or an addition that
/// stood beside the mistake could allow what all of them together do not. Pure.
/// </summary>
/// <param name="Texts">What counts: of what is held the last good version, of the rest the newest.</param>
/// <param name="Namespaces">Whose policies stay as they were.</param>
internal sealed record MeshHold(ImmutableArray<PolicyText> Texts, IReadOnlySet<string> Namespaces)
{
    /// <summary>What counts while some texts are broken.</summary>
    /// <param name="now">What is wanted.</param>
    /// <param name="before">What was in force last.</param>
    /// <param name="broken">The names of the texts with a mistake.</param>
    /// <param name="root">The namespace whose policies concern everybody.</param>
    /// <returns>Null when everything must stay as it was: the mistake is in no text, in one of which nothing can be read, or concerns everybody.</returns>
    public static MeshHold? Of(IReadOnlyList<PolicyText> now, IReadOnlyList<PolicyText> before, IReadOnlySet<string> broken, string root)
    {
        var wanted = now.ToDictionary(text => text.Name, StringComparer.Ordinal);
        var last = before.ToDictionary(text => text.Name, StringComparer.Ordinal);
        var changed = wanted.Keys.Union(last.Keys, StringComparer.Ordinal)
            .Where(name => wanted.GetValueOrDefault(name) != last.GetValueOrDefault(name))
            .ToDictionary(name => name, name => NamespacesOf(wanted.GetValueOrDefault(name), last.GetValueOrDefault(name)), StringComparer.Ordinal);
        if (broken.Any(name => changed.GetValueOrDefault(name) is null))
        {
            return null;
        }

        // A text of several namespaces ties them together.
        var held = broken.ToHashSet(StringComparer.Ordinal);
        var frozen = new HashSet<string>(StringComparer.Ordinal);
        do
        {
            frozen.UnionWith(held.SelectMany(name => changed[name] ?? frozen));
        }
        while (changed.Count(pair => pair.Value?.Overlaps(frozen) == true && held.Add(pair.Key)) > 0);

        return frozen.Contains(root)
            ? null
            : new MeshHold([.. now.Where(text => !held.Contains(text.Name)), .. before.Where(text => held.Contains(text.Name))], frozen);
    }

    // Of both versions; of one that cannot be read the other says where it belongs.
    private static IReadOnlySet<string>? NamespacesOf(PolicyText? wanted, PolicyText? last)
    {
        var (after, before) = (wanted is null ? null : DesiredMesh.NamespacesOf(wanted), last is null ? null : DesiredMesh.NamespacesOf(last));
        return after is null ? before : before is null ? after : after.Union(before).ToHashSet(StringComparer.Ordinal);
    }
}
