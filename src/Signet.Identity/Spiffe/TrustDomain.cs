using System.Diagnostics.CodeAnalysis;

namespace Signet.Identity.Spiffe;

/// <summary>
/// The name of a trust domain: the host part of a SPIFFE ID, 1 to 255 bytes of <c>[a-z0-9.-_]</c>. Immutable, thread-safe.
/// A name that looks like an IP address or a DNS name is treated like any other (SPIFFE-ID §2.1).
/// </summary>
public sealed record TrustDomain
{
    /// <summary>The longest name that is accepted, in bytes (SPIFFE-ID §2.3).</summary>
    public const int MaxLength = 255;

    private TrustDomain(string name) => Name = name;

    /// <summary>The bare name, for example <c>example.org</c>.</summary>
    public string Name { get; }

    /// <summary>The trust domain as a URI, for example <c>spiffe://example.org</c>.</summary>
    public string IdString => SpiffeId.SchemePrefix + Name;

    /// <summary>Reads a bare name or a <c>spiffe://</c> URI without a path. Never throws.</summary>
    /// <param name="text">What a person or a peer wrote.</param>
    /// <param name="trustDomain">The trust domain, when the answer is true.</param>
    /// <param name="problem">What is wrong and what to write instead, when the answer is false; otherwise empty.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out TrustDomain? trustDomain, out string problem)
    {
        trustDomain = null;
        if (string.IsNullOrEmpty(text))
        {
            problem = "trust domain is empty";
            return false;
        }

        var name = text.StartsWith(SpiffeId.SchemePrefix, StringComparison.Ordinal) ? text[SpiffeId.SchemePrefix.Length..] : text;
        if (!TryCheckName(name, out problem))
        {
            return false;
        }

        trustDomain = new TrustDomain(name);
        return true;
    }

    /// <summary>Like <see cref="TryParse"/>, for text that is known to be good.</summary>
    /// <exception cref="FormatException">The text is not a trust domain; the message says why.</exception>
    public static TrustDomain Parse(string text) =>
        TryParse(text, out var trustDomain, out var problem) ? trustDomain : throw new FormatException(problem);

    /// <summary>The bare name.</summary>
    public override string ToString() => Name;

    internal static bool TryCheckName(string name, out string problem)
    {
        if (name.Length == 0)
        {
            problem = "trust domain is empty";
            return false;
        }

        if (name.Length > MaxLength)
        {
            problem = $"trust domain is {name.Length} bytes long; the limit is {MaxLength}";
            return false;
        }

        foreach (var c in name)
        {
            if (char.IsAsciiLetterUpper(c))
            {
                problem = $"trust domain \"{Printable.Of(name)}\" has an upper-case letter; write \"{Printable.Of(name.ToLowerInvariant())}\"";
                return false;
            }

            if (!(char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '-' or '_'))
            {
                problem = $"trust domain \"{Printable.Of(name)}\" has the character '{Printable.Of(c)}'; only a-z, 0-9, '.', '-' and '_' are allowed";
                return false;
            }
        }

        problem = "";
        return true;
    }
}
