using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Wire;

/// <summary>Has entries share what they have in common, such as parents and selectors, so that a node with very many of them holds each part once. Not thread-safe.</summary>
internal sealed class SharedParts
{
    /// <summary>What there is more of than this is not shared: then it is hardly common.</summary>
    private const int MaxParts = 10_000;

    private readonly Dictionary<SpiffeId, SpiffeId> _parents = [];
    private readonly Dictionary<string, string> _texts = new(StringComparer.Ordinal);

    /// <summary>An equal entry of this time.</summary>
    public RegistrationEntry Share(RegistrationEntry entry, DateTimeOffset createdAt) => entry with
    {
        CreatedAt = createdAt,
        ParentId = Same(_parents, entry.ParentId),
        Selectors = [.. entry.Selectors.Select(selector => new Selector(Same(_texts, selector.Type), Same(_texts, selector.Value)))],
    };

    private static T Same<T>(Dictionary<T, T> known, T part)
        where T : notnull
    {
        if (known.TryGetValue(part, out var same))
        {
            return same;
        }

        if (known.Count < MaxParts)
        {
            known.Add(part, part);
        }

        return part;
    }
}
