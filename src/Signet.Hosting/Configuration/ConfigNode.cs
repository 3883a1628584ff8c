namespace Signet.Hosting.Configuration;

/// <summary>What a key holds.</summary>
public enum ConfigShape
{
    /// <summary>The key is not there, or has no value.</summary>
    Absent,

    /// <summary>A word, a number, a quoted string.</summary>
    Text,

    /// <summary>Keys and values.</summary>
    Section,

    /// <summary>A list.</summary>
    List,
}

internal abstract record ConfigNode(int Line)
{
    public abstract ConfigShape Shape { get; }
}

/// <param name="Line">From 1.</param>
/// <param name="Value">After <c>${ENV}</c> expansion.</param>
/// <param name="IsNull">Nothing, <c>~</c> or <c>null</c> was written, without quotes.</param>
internal sealed record ConfigScalar(int Line, string Value, bool IsNull) : ConfigNode(Line)
{
    public override ConfigShape Shape => IsNull ? ConfigShape.Absent : ConfigShape.Text;
}

internal sealed record ConfigList(int Line, IReadOnlyList<ConfigNode> Items) : ConfigNode(Line)
{
    public override ConfigShape Shape => ConfigShape.List;
}

internal sealed record ConfigMap(int Line, IReadOnlyDictionary<string, ConfigEntry> Entries) : ConfigNode(Line)
{
    public override ConfigShape Shape => ConfigShape.Section;
}

/// <param name="Line">Where the key stands.</param>
/// <param name="Value">What it holds.</param>
internal sealed record ConfigEntry(int Line, ConfigNode Value);
