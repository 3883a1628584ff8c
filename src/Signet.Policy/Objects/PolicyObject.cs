namespace Signet.Policy.Objects;

/// <summary>What every policy object has. Immutable.</summary>
public abstract record PolicyObject
{
    /// <summary>The kind, as written in the document.</summary>
    public abstract string Kind { get; }

    public required string Namespace { get; init; }

    public required string Name { get; init; }

    /// <summary>The text that it came from.</summary>
    public required string File { get; init; }

    /// <summary>The line on which it begins.</summary>
    public required int Line { get; init; }

    /// <summary>When it was created; absent means: before all that say when.</summary>
    public DateTimeOffset Created { get; init; }

    /// <summary>The labels of the workloads that it is about; empty means all in its namespace.</summary>
    public IReadOnlyDictionary<string, string> Selector { get; init; } = new Dictionary<string, string>();

    /// <summary>Why the object could not be understood, or null. Such an object denies what it covers.</summary>
    public string? Unreadable { get; init; }

    /// <summary><c>namespace/name</c></summary>
    public string Id => Namespace + "/" + Name;

    /// <summary>Oldest first; of the same age, by name, then namespace.</summary>
    internal static int ByAge(PolicyObject a, PolicyObject b)
    {
        var order = a.Created.CompareTo(b.Created);
        order = order != 0 ? order : string.CompareOrdinal(a.Name, b.Name);
        return order != 0 ? order : string.CompareOrdinal(a.Namespace, b.Namespace);
    }

    /// <summary>By namespace, then name.</summary>
    internal static int ByName(PolicyObject a, PolicyObject b)
    {
        var order = string.CompareOrdinal(a.Namespace, b.Namespace);
        return order != 0 ? order : string.CompareOrdinal(a.Name, b.Name);
    }
}

/// <summary>A text, or an object in it, of which not even kind and namespace could be read. It covers everything.</summary>
public sealed record UnreadableText : PolicyObject
{
    public override string Kind => "";
}
