using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Tls;

/// <summary>The ALPN names by which mesh proxies know each other; Istio's, so that its proxies and ours can talk.</summary>
public static class MeshAlpn
{
    private const string Istio = "istio";
    private const string PeerExchange = "istio-peer-exchange";
    private const string Http10 = "istio-http/1.0";
    private const string Http11 = "istio-http/1.1";
    private const string Http2 = "istio-h2";
    private const string PlainHttp2 = "h2";
    private const string PlainHttp11 = "http/1.1";

    /// <summary>Between two Signet proxies: HTTP/2 whose streams are CONNECT, one per connection. Not <c>h2</c>, which is an application's own to speak.</summary>
    public const string Tunnel = "signet-tunnel";

    /// <summary>
    /// What a client offers for TCP. Not <c>istio-peer-exchange</c>: who negotiates that name must also speak the metadata exchange at the
    /// start of the stream, which Signet does not.
    /// </summary>
    public static IReadOnlyList<string> OfferTcp { get; } = [Istio];

    /// <summary>What a client offers for HTTP/1.1.</summary>
    public static IReadOnlyList<string> OfferHttp { get; } = [Http11, Istio, PlainHttp11];

    /// <summary>What a client offers for HTTP/2. The last lets a server that knows none say so.</summary>
    public static IReadOnlyList<string> OfferHttp2 { get; } = [Http2, Istio, PlainHttp2, PlainHttp11];

    /// <summary>Whether a ClientHello with these names is meant for the proxy and not for the application behind it.</summary>
    public static bool IsForProxy(IReadOnlyList<string> offered) => offered.Any(name => name is Istio or PeerExchange or Http10 or Http11 or Http2 or Tunnel);

    /// <summary>The name that the server selects; null selects none, which every client accepts.</summary>
    public static string? Select(IReadOnlyList<string> offered, bool forHttp, bool mayTunnel)
    {
        string[] preferred = forHttp ? [PlainHttp2, PlainHttp11, Http2, Http11, Istio] : [Istio];
        return mayTunnel && offered.Contains(Tunnel) ? Tunnel : preferred.FirstOrDefault(offered.Contains);
    }

    /// <summary>What a client offers.</summary>
    /// <param name="use">What the connection is wanted for.</param>
    /// <param name="mayTunnel">Whether a tunnel would do as well.</param>
    internal static IReadOnlyList<string> Offer(UpstreamUse use, bool mayTunnel)
    {
        var names = use switch
        {
            UpstreamUse.Http2 => OfferHttp2,
            UpstreamUse.Http1 => OfferHttp,
            _ => OfferTcp,
        };
        return mayTunnel ? [Tunnel, .. names] : names;
    }

    /// <summary>Whether the name that was agreed on is one of HTTP/2.</summary>
    public static bool SaysHttp2(string? agreed) => agreed is Http2 or PlainHttp2;

    /// <summary>Whether the name that was agreed on is one of HTTP/1.</summary>
    public static bool SaysHttp1(string? agreed) => agreed is Http10 or Http11 or PlainHttp11;

    /// <summary>What the client's offer says about the stream inside: HTTP, not HTTP, or nothing.</summary>
    public static bool? SaysHttp(IReadOnlyList<string> offered) =>
        offered.Any(name => name is Http10 or Http11 or Http2) ? true
        : offered.Any(name => name is Istio or PeerExchange) ? false
        : null;
}
