using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Signet.Hosting;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Authorization;

/// <summary>
/// Fetches an issuer's keys: over https, or http on loopback; following redirects of the same host only; within limits of length and number.
/// Thread-safe.
/// </summary>
internal sealed class KeyFetcher : IDisposable
{
    private const int MaxRedirects = 3;
    private const int MaxHeadKilobytes = 16;

    private readonly HttpMessageInvoker _http;

    /// <param name="roots">The only authorities that are believed; null for the machine's.</param>
    public KeyFetcher(X509Certificate2Collection? roots)
    {
        // Nothing is fetched on a certificate's say-so: neither issuers nor revocation lists.
        var trust = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        if (roots is not null)
        {
            trust.TrustMode = X509ChainTrustMode.CustomRootTrust;
            trust.CustomTrustStore.AddRange(roots);
        }

        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = trust };
        handler.ConnectCallback = ConnectAsync;
        handler.MaxResponseDrainSize = 0;
        handler.PooledConnectionLifetime = TimeSpan.Zero;
        _http = new HttpMessageInvoker(handler);
    }

    /// <summary>Whether keys may be fetched from there at all.</summary>
    public static bool IsSafe(Uri uri) => uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback);

    /// <returns>The keys, or why there are none.</returns>
    /// <exception cref="OperationCanceledException">The time is over.</exception>
    public async Task<(JsonWebKeys? Keys, string Problem)> FetchAsync(Uri uri, CancellationToken cancellationToken)
    {
        try
        {
            for (var redirects = 0; ; redirects++)
            {
                if (!IsSafe(uri))
                {
                    return (null, $"{Shown(uri)} is neither https nor on loopback");
                }

                using var request = new HttpRequestMessage(HttpMethod.Get, uri);
                request.Headers.TryAddWithoutValidation("accept", "application/json");
                using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
                if ((int)response.StatusCode is 301 or 302 or 303 or 307 or 308)
                {
                    if (redirects == MaxRedirects || response.Headers.Location is not { } location)
                    {
                        return (null, $"it answered with {(redirects == MaxRedirects ? $"more than {MaxRedirects} redirects" : "a redirect to nowhere")}");
                    }

                    var next = new Uri(uri, location);
                    if (next.Authority != uri.Authority || next.Scheme != uri.Scheme || next.UserInfo.Length > 0)
                    {
                        return (null, $"it redirects to {Shown(next)}, another place; name that in the policy if it is right");
                    }

                    uri = next;
                    continue;
                }

                return await ReadAsync(response, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UriFormatException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return (null, Printable.Of((e.InnerException ?? e).Message));
        }
    }

    public void Dispose() => _http.Dispose();

    private static async Task<(JsonWebKeys? Keys, string Problem)> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return (null, $"it answered {(int)response.StatusCode}");
        }

        if (await BoundedBody.ReadAsync(response.Content, JsonWebKeys.MaxLength, cancellationToken).ConfigureAwait(false) is not { } body)
        {
            return (null, $"it answered with more than {JsonWebKeys.MaxLength} bytes");
        }

        return JsonWebKeys.TryParse(Encoding.UTF8.GetString(body), out var keys, out var problem)
            ? keys.Count > 0 ? (keys, "") : (null, "it answered with no key that can be used")
            : (null, problem);
    }

    /// <summary>Plaintext goes to loopback and nowhere else, whatever a name resolves to.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        EndPoint to = context.DnsEndPoint;
        if (context.InitialRequestMessage.RequestUri!.Scheme == Uri.UriSchemeHttp)
        {
            var address = IPAddress.TryParse(context.DnsEndPoint.Host, out var written) && IPAddress.IsLoopback(written) ? written : IPAddress.Loopback;
            to = new IPEndPoint(address, context.DnsEndPoint.Port);
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(to, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException(e.Message, e);
        }
        catch (OperationCanceledException)
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Without the query, which may hold a secret.</summary>
    internal static string Shown(Uri uri) => Printable.Of(uri.GetLeftPart(UriPartial.Path));
}
