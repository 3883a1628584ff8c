using Signet.Identity.Spiffe;

namespace Signet.Identity.Registration;

/// <summary>
/// One fact about a node or a workload, as an attestor found it or an entry demands it: a type and a value, written
/// <c>type:value</c>, for example <c>unix:uid:1000</c> (type <c>unix</c>, value <c>uid:1000</c>). Compared byte by byte.
/// </summary>
public readonly record struct Selector
{
    /// <summary>The longest text of a selector, in characters.</summary>
    public const int MaxLength = 4096;

    public Selector(string type, string value)
    {
        Type = type;
        Value = value;
    }

    public string Type { get; }

    public string Value { get; }

    /// <summary>Reads <c>type:value</c>. Never throws.</summary>
    public static bool TryParse(string? text, out Selector selector, out string problem)
    {
        selector = default;
        if (string.IsNullOrEmpty(text))
        {
            problem = "selector is empty; write TYPE:KEY:VALUE, for example unix:uid:1000";
            return false;
        }

        if (text.Length > MaxLength)
        {
            problem = $"selector is {text.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0 || colon == text.Length - 1)
        {
            problem = $"selector \"{Printable.Of(text)}\" has no type or no value; write TYPE:KEY:VALUE, for example unix:uid:1000";
            return false;
        }

        selector = new Selector(text[..colon], text[(colon + 1)..]);
        problem = "";
        return true;
    }

    public override string ToString() => $"{Type}:{Value}";
}
