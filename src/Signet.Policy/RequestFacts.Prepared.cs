using System.Buffers;
using Signet.Identity.Spiffe;
using Signet.Policy.Engine;

namespace Signet.Policy;

/// <summary>The half that the engine sees: facts checked and normalised once per decision, in buffers that live as long as the connection.</summary>
public sealed partial class RequestFacts
{
    private static readonly SearchValues<char> TokenCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    private static readonly SearchValues<char> LowerCase = SearchValues.Create("abcdefghijklmnopqrstuvwxyz");

    private Dictionary<string, CustomAnswer>? _answers;
    private char[] _path = [];
    private int _pathLength;
    private char[] _header = [];
    private string? _pathAsItIs;

    internal IpKey SourceAddress { get; private set; }

    internal IpKey ReportedAddress { get; private set; }

    internal IpKey DestinationAddress { get; private set; }

    /// <summary>The peer, if this port authenticates anybody.</summary>
    internal SpiffeId? AuthenticatedPeer { get; private set; }

    /// <summary>The path that policies are matched against.</summary>
    public ReadOnlySpan<char> NormalizedPath => _pathAsItIs is null ? _path.AsSpan(0, _pathLength) : _pathAsItIs;

    internal List<CompiledRule> Matched { get; } = [];

    internal CustomAnswer? AnswerOf(string provider) => _answers is not null && _answers.TryGetValue(provider, out var answer) ? answer : null;

    internal void PrepareConnection(MtlsMode mode) => AuthenticatedPeer = mode == MtlsMode.Disable || !MutualTls ? null : Peer;

    /// <summary>A header's value, repeated ones joined with commas. The value is good until the next call.</summary>
    internal bool TryJoinHeader(string name, out ReadOnlySpan<char> value)
    {
        if (name.Equals("host", StringComparison.OrdinalIgnoreCase))
        {
            value = Host;
            return Host is not null;
        }

        value = default;
        string? only = null;
        var length = -1;
        for (var i = 0; i < Headers.Count; i++)
        {
            if (!Headers[i].Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }

            var next = Headers[i].Value;
            if (only is null)
            {
                only = next;
                continue;
            }

            length = length < 0 ? Append(0, only) : length;
            length = Append(Append(length, ","), next);
        }

        value = length < 0 ? only : _header.AsSpan(0, length);
        return only is not null;
    }

    private int Append(int at, string text)
    {
        if (_header.Length < at + text.Length)
        {
            Array.Resize(ref _header, Math.Max(256, (at + text.Length) * 2));
        }

        text.CopyTo(_header.AsSpan(at));
        return at + text.Length;
    }

    /// <summary>Checks and normalises the request; answers what is wrong with it, or null.</summary>
    internal string? PrepareRequest(PathNormalization level)
    {
        if (Method is { } method && (method.Length == 0 || method.AsSpan().ContainsAnyExcept(TokenCharacters) || method.AsSpan().ContainsAny(LowerCase)))
        {
            return "the method is not a word in upper case";
        }

        for (var i = 0; i < Headers.Count; i++)
        {
            var name = Headers[i].Key;
            if (name.Length == 0 || name.AsSpan().ContainsAnyExcept(TokenCharacters))
            {
                return "a header's name has a character that names can't have";
            }
        }

        if (Path is not { } path)
        {
            (_pathAsItIs, _pathLength) = (null, 0);
            return null;
        }

        if (PathNormalizer.IsNormal(path))
        {
            _pathAsItIs = path;
            return null;
        }

        _pathAsItIs = null;
        return PathNormalizer.Normalize(path, level, ref _path, out _pathLength);
    }
}
