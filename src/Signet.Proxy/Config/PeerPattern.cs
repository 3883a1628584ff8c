using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Config;

/// <summary>One SPIFFE ID, or with <c>/*</c> at its end every one below it. Immutable.</summary>
public sealed record PeerPattern
{
    private const string Below = "/*";

    private readonly string _text;
    private readonly bool _isPrefix;

    private PeerPattern(string text, bool isPrefix) => (_text, _isPrefix) = (text, isPrefix);

    /// <summary>Reads <c>spiffe://example.org/ns/default/sa/web</c>, <c>spiffe://example.org/ns/*</c> or <c>spiffe://example.org/*</c>.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out PeerPattern? pattern, out string problem)
    {
        var isPrefix = text.EndsWith(Below, StringComparison.Ordinal);
        pattern = SpiffeId.TryParse(isPrefix ? text[..^Below.Length] : text, out var id, out problem) ? new PeerPattern(isPrefix ? id.Uri + "/" : id.Uri, isPrefix) : null;
        return pattern is not null;
    }

    public bool Matches(SpiffeId id) => _isPrefix ? id.Uri.StartsWith(_text, StringComparison.Ordinal) : id.Uri == _text;

    public override string ToString() => _isPrefix ? _text + "*" : _text;
}
