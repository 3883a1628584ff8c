using System.Net;

namespace Signet.Hosting;

/// <summary>
/// What calls out over HTTP on behalf of a daemon: it does what is asked and nothing else. No redirects, cookies, proxies, tracing headers or decompression,
/// and a bounded head. Callers set TLS, connecting and pooling.
/// </summary>
public static class StrictHttpHandler
{
    /// <param name="maxHeadKilobytes">The longest head of an answer, KiB.</param>
    public static SocketsHttpHandler Create(int maxHeadKilobytes) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        AutomaticDecompression = DecompressionMethods.None,
        MaxResponseHeadersLength = maxHeadKilobytes,
    };
}
