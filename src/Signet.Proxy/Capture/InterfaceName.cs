using System.Buffers;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Capture;

/// <summary>The name of a network interface, or with a final <c>+</c> the beginning of several names.</summary>
public readonly record struct InterfaceName
{
    /// <summary>IFNAMSIZ without its terminator.</summary>
    private const int MaxLength = 15;

    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@:");

    private readonly string? _text;

    private InterfaceName(string text) => _text = text;

    /// <summary>Reads a name. Thread-safe.</summary>
    public static bool TryParse(string text, out InterfaceName name, out string problem)
    {
        var stem = text.EndsWith('+') ? text[..^1] : text;
        var isName = stem.Length > 0 && text.Length <= MaxLength && stem[0] != '-' && !stem.AsSpan().ContainsAnyExcept(Letters);
        name = isName ? new InterfaceName(text) : default;
        problem = isName ? "" : $"\"{Printable.Of(text)}\" is not the name of an interface, such as eth1, nor the beginning of several, such as docker+";
        return isName;
    }

    public override string ToString() => _text ?? "";
}
