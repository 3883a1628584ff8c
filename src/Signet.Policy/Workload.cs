namespace Signet.Policy;

/// <summary>The workload that a policy is about: where it lives and what it is called. Immutable; labels compare ordinally.</summary>
/// <param name="Namespace">Its namespace, for example <c>production</c>.</param>
/// <param name="ServiceAccount">Its service account, when known.</param>
/// <param name="Labels">Its labels; selectors are matched against them.</param>
public sealed record Workload(string Namespace, string? ServiceAccount, IReadOnlyDictionary<string, string> Labels)
{
    /// <summary>The same text for workloads that policies can't tell apart.</summary>
    public string Key => Namespace + "\n" + string.Join('\n', Labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => label.Key + "=" + label.Value));

    internal bool HasLabels(IReadOnlyDictionary<string, string> wanted)
    {
        foreach (var (key, value) in wanted)
        {
            if (!Labels.TryGetValue(key, out var actual) || !string.Equals(actual, value, StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }
}
