using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Signet.Identity.Spiffe;

namespace Signet.Client.Http;

/// <summary>
/// Shows a service who calls it with a JWT-SVID, as bearer token (RFC 6750 §2.1): in front of a handler of an <see cref="HttpClient"/>. Whoever has such a token is taken for this workload by
/// its audience, so it goes to one origin only, over https; over http only to an address of this machine. Tokens are kept and renewed by the <see cref="JwtSource"/>, which the caller
/// disposes, afterwards. Thread-safe.
/// </summary>
/// <remarks>
/// A request elsewhere, and one for which there is no token, fails with an <see cref="HttpRequestException"/> and is not sent. A handler behind this one that follows redirects has to drop the
/// token, as those of .NET do.
/// </remarks>
public sealed class JwtBearerHandler : DelegatingHandler
{
    private readonly JwtSource _tokens;
    private readonly string _audience;
    private readonly Uri _origin;
    private readonly SpiffeId? _id;

    /// <param name="tokens">Where tokens come from.</param>
    /// <param name="audience">Who is to believe them: what the service calls itself, most often its SPIFFE ID.</param>
    /// <param name="origin">Scheme, host and port of the only service that gets them; a path does not count.</param>
    /// <param name="id">Of this identity; null is the default one.</param>
    /// <exception cref="ArgumentException">The audience is empty, or the origin is neither https nor http to a loopback address. A name such as <c>localhost</c> is no address: others say where it leads.</exception>
    public JwtBearerHandler(JwtSource tokens, string audience, Uri origin, SpiffeId? id = null)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        ArgumentException.ThrowIfNullOrEmpty(audience);
        ArgumentNullException.ThrowIfNull(origin);
        if (!origin.IsAbsoluteUri || !(origin.Scheme == Uri.UriSchemeHttps || (origin.Scheme == Uri.UriSchemeHttp && IsThisMachine(origin))))
        {
            throw new ArgumentException("tokens go over https, or over http to a loopback address such as http://127.0.0.1:8080", nameof(origin));
        }

        (_tokens, _audience, _origin, _id) = (tokens, audience, origin, id);
    }

    /// <inheritdoc/>
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true } uri || Uri.Compare(uri, _origin, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) != 0)
        {
            throw new HttpRequestException($"the token is for {_origin.GetLeftPart(UriPartial.Authority)} and goes to no other origin; use another HttpClient for it");
        }

        try
        {
            var token = await _tokens.GetAsync([_audience], _id, cancellationToken).ConfigureAwait(false);
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token.Token);
        }
        catch (Exception e) when (e is RpcException or WorkloadApiException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new HttpRequestException($"there is no token for {Printable.Of(_audience)}: {e.Message}", e);
        }

        return await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Not supported: nothing is sent without a token, and one is waited for.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
        throw new NotSupportedException("requests with tokens are sent by SendAsync");

    private static bool IsThisMachine(Uri origin) => IPAddress.TryParse(origin.IdnHost.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address);
}
