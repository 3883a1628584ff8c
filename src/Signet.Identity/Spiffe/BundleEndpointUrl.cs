using System.Diagnostics.CodeAnalysis;

namespace Signet.Identity.Spiffe;

/// <summary>
/// Where a trust domain's bundle is served: <c>https</c>, no user information (Federation §5.2.1.1, §5.2.2.1). It says nothing of the trust domain
/// or the profile, which are configured beside it (§7.2). Immutable, thread-safe.
/// </summary>
public sealed record BundleEndpointUrl
{
    /// <summary>The longest URL that is accepted, in characters.</summary>
    public const int MaxLength = 2048;

    private BundleEndpointUrl(Uri uri) => Uri = uri;

    public Uri Uri { get; }

    /// <summary>Reads a URL. Never throws.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out BundleEndpointUrl? url, out string problem)
    {
        url = null;
        if (text is not { Length: > 0 and <= MaxLength })
        {
            problem = $"bundle endpoint URL is {text?.Length ?? 0} characters long; write 1 to {MaxLength}";
            return false;
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri))
        {
            problem = $"bundle endpoint URL \"{Printable.Of(text)}\" is not a URL; write https://HOST/PATH";
            return false;
        }

        return TryCreate(uri, out url, out problem);
    }

    /// <summary>Where an endpoint sends its reader: every rule for endpoint URLs counts for that place too (§5.2.1.3). Never throws.</summary>
    /// <param name="location">As the endpoint says it; may be relative.</param>
    /// <param name="target">The other place, when the answer is true.</param>
    /// <param name="problem">What is wrong with it, when the answer is false.</param>
    public bool TryFollow(Uri location, [NotNullWhen(true)] out BundleEndpointUrl? target, out string problem)
    {
        target = null;
        if (location.OriginalString.Length > MaxLength || !Uri.TryCreate(Uri, location, out var uri))
        {
            problem = "the redirect leads to what is not a URL";
            return false;
        }

        return TryCreate(uri, out target, out problem);
    }

    public override string ToString() => Uri.AbsoluteUri;

    private static bool TryCreate(Uri uri, [NotNullWhen(true)] out BundleEndpointUrl? url, out string problem)
    {
        problem = uri.Scheme != Uri.UriSchemeHttps ? $"bundle endpoint URL \"{Printable.Of(uri.OriginalString)}\" is not https; a bundle is never fetched in plaintext"
            : uri.UserInfo.Length > 0 ? "bundle endpoint URL has a user name in it; leave it out, a bundle endpoint asks nobody who they are"
            : uri.Host.Length == 0 ? $"bundle endpoint URL \"{Printable.Of(uri.OriginalString)}\" has no host"
            : "";
        url = problem.Length == 0 ? new BundleEndpointUrl(uri) : null;
        return url is not null;
    }
}
