using System.Text;

namespace Signet.Proxy.L7;

internal enum FieldAction
{
    Set,
    Append,
    SetIfAbsent,
    SetIfPresent,
    Remove,
}

/// <summary>A change of one header field.</summary>
internal readonly record struct FieldChange(FieldAction Action, string Name, string Value)
{
    private const int MaxValue = 16 * 1024;

    /// <summary>Whether a field may be written into a message as it is, and is neither framing nor the proxy's own.</summary>
    public static bool IsSafe(string name, string value) =>
        FieldLines.IsToken(Encoding.UTF8.GetBytes(name)) && !ForwardedHeaders.IsOurs(name)
        && value.Length <= MaxValue && !value.AsSpan().ContainsAnyExceptInRange(' ', 'ÿ') && !value.Contains('\x7f', StringComparison.Ordinal);

    /// <summary>Makes the changes, in order.</summary>
    public static void Apply(IReadOnlyList<FieldChange> changes, List<KeyValuePair<string, string>> fields)
    {
        foreach (var (action, name, value) in changes)
        {
            var isThere = fields.Exists(field => field.Key.Equals(name, StringComparison.OrdinalIgnoreCase));
            if (action is FieldAction.Set or FieldAction.Remove || (action == FieldAction.SetIfPresent && isThere))
            {
                fields.RemoveAll(field => field.Key.Equals(name, StringComparison.OrdinalIgnoreCase));
            }

            if (action is FieldAction.Set or FieldAction.Append || (action == FieldAction.SetIfAbsent && !isThere) || (action == FieldAction.SetIfPresent && isThere))
            {
                fields.Add(new(name, value));
            }
        }
    }
}
