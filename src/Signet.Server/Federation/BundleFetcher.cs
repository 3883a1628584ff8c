using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Signet.Client.Tls;
using Signet.Hosting;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Certificate = Signet.Identity.X509.Certificate;

namespace Signet.Server.Federation;

/// <summary>A bundle, or why there is none.</summary>
public readonly record struct FetchedBundle(SpiffeBundle? Bundle, string Problem)
{
    /// <summary>Whether nothing was asked, since there is no bundle by which the endpoint could be recognised.</summary>
    public bool LacksTrust { get; init; }
}

/// <summary>
/// Fetches a trust domain's bundle from its endpoint (Federation §5.2): over TLS of which the profile decides whom it believes, through redirects to
/// valid endpoint URLs under the same rules, within limits of bytes, redirects and time. Nothing of it is remembered. Thread-safe.
/// </summary>
/// <param name="trust">The X.509 authorities that are kept of a trust domain, the own one too; null for none.</param>
/// <param name="webRoots">The only authorities that are believed of the web profile; null for the machine's.</param>
/// <param name="time">The clock.</param>
internal sealed class BundleFetcher(Func<TrustDomain, X509Bundle?> trust, X509Certificate2Collection? webRoots, TimeProvider time)
{
    /// <summary>The longest answer, in bytes.</summary>
    public const int MaxBytes = 1024 * 1024;

    public const int MaxRedirects = 5;

    private const int MaxHeadKilobytes = 16;

    /// <summary>How long a fetch may take, redirects and all.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public async Task<FetchedBundle> FetchAsync(FederationRelationship relationship, CancellationToken cancellationToken)
    {
        var tlsProblem = "";
        if (TlsFor(relationship, problem => tlsProblem = problem, out var missing) is not { } tls)
        {
            return new(null, missing) { LacksTrust = true };
        }

        // Each fetch makes its own connection: what was believed an hour ago must not count now.
        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.SslOptions = tls;
        handler.MaxResponseDrainSize = 0;
        using var http = new HttpMessageInvoker(handler);
        using var patience = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            var fetched = await FetchAsync(http, relationship.Url, either.Token).ConfigureAwait(false);
            return fetched.Text is null ? new(null, fetched.Problem)
                : SpiffeBundle.TryParse(relationship.TrustDomain, fetched.Text, out var bundle, out var problem) ? new(bundle, "")
                : new(null, problem);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return new(null, patience.IsCancellationRequested ? $"it did not answer within {Timeout.TotalSeconds} s"
                : tlsProblem.Length > 0 ? tlsProblem
                : Printable.Of((e.InnerException ?? e).Message));
        }
    }

    private static async Task<(string? Text, string Problem)> FetchAsync(HttpMessageInvoker http, BundleEndpointUrl url, CancellationToken cancellationToken)
    {
        for (var redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url.Uri);
            request.Headers.TryAddWithoutValidation("accept", "application/json");
            using var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308))
            {
                return response.StatusCode == HttpStatusCode.OK
                    ? await ReadAsync(response.Content, cancellationToken).ConfigureAwait(false)
                    : (null, $"it answered {(int)response.StatusCode}");
            }

            if (redirects == MaxRedirects || response.Headers.Location is not { } location)
            {
                return (null, redirects == MaxRedirects ? $"it answered with more than {MaxRedirects} redirects" : "it answered with a redirect to nowhere");
            }

            if (!url.TryFollow(location, out var next, out var problem))
            {
                return (null, $"it redirects to another place that is no bundle endpoint: {problem}");
            }

            url = next;
        }
    }

    private static async Task<(string? Text, string Problem)> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var tooLong = $"it answered with more than {MaxBytes} bytes";
        if (content.Headers.ContentLength > MaxBytes)
        {
            return (null, tooLong);
        }

        using var stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var body = new byte[(int)(content.Headers.ContentLength ?? MaxBytes) + 1];
        var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        if (length > MaxBytes)
        {
            return (null, tooLong);
        }

        try
        {
            return (StrictUtf8.GetString(body, 0, length), "");
        }
        catch (DecoderFallbackException)
        {
            return (null, "it answered with what is not UTF-8");
        }
    }

    private SslClientAuthenticationOptions? TlsFor(FederationRelationship relationship, Action<string> refused, out string problem)
    {
        problem = "";
        if (relationship.Profile is not EndpointProfile.HttpsSpiffe { EndpointId: var expected })
        {
            return StrictHttpHandler.WebTls(webRoots);
        }

        // The newest that is kept of the endpoint's own trust domain and of no other (Federation §5.2.2.4, §7.3).
        if (trust(expected.TrustDomain) is not { Authorities.Count: > 0 } bundle)
        {
            problem = $"{expected} can't be recognised without a bundle of {expected.TrustDomain}; give the first one: signet bundle set {expected.TrustDomain} FILE";
            return null;
        }

        return SvidTls.Client(credential: null, serverName: relationship.Url.Uri.IdnHost, (presented, unreadable) =>
        {
            var verdict = SvidVerifier.Verify(presented, TrustBundles.Of(bundle), CertificateUsage.Server, time.GetUtcNow());
            var why = unreadable.Length > 0 ? unreadable
                : !verdict.IsTrusted ? $"its certificate is refused: {verdict.Reason}"
                : verdict.Id != expected ? $"it presented {verdict.Id}, but {expected} was expected"
                : "";
            refused(why);
            return why.Length == 0;
        });
    }
}
