namespace Signet.Policy.Yaml;

/// <summary>A piece of a YAML document and the line it stands on. Immutable; a tree, except that an alias shares its anchor's node.</summary>
public abstract record YamlNode(int Line)
{
    /// <summary>The number of nodes in the tree when every alias is written out: what a reader of it can be made to visit.</summary>
    internal long Size { get; init; } = 1;

    /// <summary>What it is, for messages.</summary>
    public abstract string Noun { get; }
}

/// <summary>A single value. <paramref name="Plain"/> means that it stood without quotes, so <c>null</c>, <c>true</c> and numbers mean themselves.</summary>
public sealed record YamlScalar(int Line, string Value, bool Plain) : YamlNode(Line)
{
    public bool IsNull => Plain && Value is "" or "~" or "null" or "Null" or "NULL";

    public override string Noun => IsNull ? "nothing" : "a single value";
}

/// <summary>A list.</summary>
public sealed record YamlSequence(int Line, IReadOnlyList<YamlNode> Items) : YamlNode(Line)
{
    public override string Noun => "a list";
}

/// <summary>Fields with values, in the order in which they stand; no key occurs twice.</summary>
public sealed record YamlMapping(int Line, IReadOnlyList<YamlField> Fields) : YamlNode(Line)
{
    public override string Noun => "a mapping";

    public YamlNode? this[string key]
    {
        get
        {
            foreach (var field in Fields)
            {
                if (string.Equals(field.Key, key, StringComparison.Ordinal))
                {
                    return field.Value;
                }
            }

            return null;
        }
    }
}

/// <summary>One field of a mapping.</summary>
public sealed record YamlField(int Line, string Key, YamlNode Value);
