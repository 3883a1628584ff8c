using System.Diagnostics.CodeAnalysis;

namespace Signet.Identity.Spiffe;

/// <summary>
/// A SPIFFE ID: <c>spiffe://&lt;trust domain&gt;[/segment…]</c>, at most 2,048 bytes (SPIFFE-ID §2). Immutable, thread-safe; equality is
/// ordinal because the only accepted spelling is the canonical one (lower-case scheme and trust domain, no percent-encoding).
/// </summary>
public sealed record SpiffeId
{
    /// <summary>The longest URI that is accepted, in bytes (SPIFFE-ID §2.3).</summary>
    public const int MaxLength = 2048;

    /// <summary>What every ID begins with.</summary>
    public const string SchemePrefix = "spiffe://";

    private SpiffeId(TrustDomain trustDomain, string path)
    {
        TrustDomain = trustDomain;
        Path = path;
        Uri = trustDomain.IdString + path;
    }

    public TrustDomain TrustDomain { get; }

    /// <summary>Empty for a trust domain's own ID, otherwise <c>/segment…</c>, case-sensitive.</summary>
    public string Path { get; }

    /// <summary>The whole URI, as it stands in a certificate.</summary>
    public string Uri { get; }

    /// <summary>The URI without its scheme: the form in which policies name principals.</summary>
    public string Principal => Uri[SchemePrefix.Length..];

    /// <summary>Whether the ID names a workload and not a whole trust domain.</summary>
    public bool HasPath => Path.Length > 0;

    /// <summary>Reads a SPIFFE ID. Never throws; time is linear in the length, which is bounded.</summary>
    /// <param name="text">What a person, a certificate or a peer wrote.</param>
    /// <param name="id">The ID, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out SpiffeId? id, out string problem)
    {
        id = null;
        if (string.IsNullOrEmpty(text))
        {
            problem = "SPIFFE ID is empty";
            return false;
        }

        if (text.Length > MaxLength)
        {
            problem = $"SPIFFE ID is {text.Length} bytes long; the limit is {MaxLength}";
            return false;
        }

        if (!text.StartsWith(SchemePrefix, StringComparison.Ordinal))
        {
            problem = $"SPIFFE ID \"{Printable.Of(text)}\" does not begin with \"{SchemePrefix}\"";
            return false;
        }

        var rest = text[SchemePrefix.Length..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var name = slash < 0 ? rest : rest[..slash];
        var path = slash < 0 ? "" : rest[slash..];
        if (!TryCheckTrustDomain(text, name, out problem) || !TryCheckPath(text, path, out problem))
        {
            return false;
        }

        id = new SpiffeId(TrustDomain.Parse(name), path);
        return true;
    }

    /// <summary>Like <see cref="TryParse"/>, for text that is known to be good.</summary>
    /// <exception cref="FormatException">The text is not a SPIFFE ID; the message says why.</exception>
    public static SpiffeId Parse(string text) =>
        TryParse(text, out var id, out var problem) ? id : throw new FormatException(problem);

    /// <summary>The ID of a trust domain itself: no path.</summary>
    public static SpiffeId Of(TrustDomain trustDomain) => new(trustDomain, "");

    /// <summary>An ID in a trust domain.</summary>
    /// <exception cref="FormatException">The path is not one; the message says why.</exception>
    public static SpiffeId Of(TrustDomain trustDomain, string path) => Parse(trustDomain.IdString + path);

    /// <summary>Whether the ID belongs to the trust domain. A prefix of the name is not enough.</summary>
    public bool IsMemberOf(TrustDomain trustDomain) => TrustDomain == trustDomain;

    public bool Equals(SpiffeId? other) => other is not null && string.Equals(Uri, other.Uri, StringComparison.Ordinal);

    public override int GetHashCode() => string.GetHashCode(Uri, StringComparison.Ordinal);

    /// <summary>The whole URI.</summary>
    public override string ToString() => Uri;

    private static bool TryCheckTrustDomain(string whole, string name, out string problem)
    {
        if (name.Contains('@', StringComparison.Ordinal))
        {
            problem = $"SPIFFE ID \"{Printable.Of(whole)}\" has user information; leave it out";
            return false;
        }

        if (name.Contains(':', StringComparison.Ordinal))
        {
            problem = $"SPIFFE ID \"{Printable.Of(whole)}\" has a port; leave it out";
            return false;
        }

        return TrustDomain.TryCheckName(name, out problem);
    }

    private static bool TryCheckPath(string whole, string path, out string problem)
    {
        problem = "";
        if (path.Length == 0)
        {
            return true;
        }

        if (path.EndsWith('/'))
        {
            problem = $"SPIFFE ID \"{Printable.Of(whole)}\" ends with '/'";
            return false;
        }

        foreach (var range in path.AsSpan(1).Split('/'))
        {
            var segment = path.AsSpan(1)[range];
            if (segment is "" or "." or "..")
            {
                problem = $"SPIFFE ID \"{Printable.Of(whole)}\" has an empty, \".\" or \"..\" path segment";
                return false;
            }

            foreach (var c in segment)
            {
                if (!(char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
                {
                    problem = c switch
                    {
                        '?' => $"SPIFFE ID \"{Printable.Of(whole)}\" has a query; leave it out",
                        '#' => $"SPIFFE ID \"{Printable.Of(whole)}\" has a fragment; leave it out",
                        '%' => $"SPIFFE ID \"{Printable.Of(whole)}\" has percent-encoding; only plain characters are allowed",
                        _ => $"SPIFFE ID \"{Printable.Of(whole)}\" has the character '{Printable.Of(c)}' in its path; only a-z, A-Z, 0-9, '.', '-' and '_' are allowed",
                    };
                    return false;
                }
            }
        }

        return true;
    }
}
