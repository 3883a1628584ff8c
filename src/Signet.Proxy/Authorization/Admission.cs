using Signet.Policy;
using Signet.Proxy.Config;
using Signet.Proxy.Sniffing;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Authorization;

/// <summary>What happens to an inbound connection, judged by its first bytes and the port's PeerAuthentication.</summary>
public abstract record Admission
{
    private Admission()
    {
    }

    /// <summary>Mutual TLS ends here; a client without a certificate is refused.</summary>
    public sealed record Terminate(string? Sni, IReadOnlyList<string> Alpn) : Admission;

    /// <summary>The bytes are the application's; nobody is authenticated.</summary>
    /// <param name="MayBeHttp">Whether requests in them are read. TLS that passes through cannot be.</param>
    /// <param name="Sni">The server name that TLS which passes through asks for.</param>
    /// <param name="Why">For the access log: by which rule it is not mutual TLS.</param>
    public sealed record Anonymous(bool MayBeHttp, string? Sni, string Why) : Admission;

    public sealed record Refuse(RefusalReason Reason, string Detail) : Admission;

    /// <summary>
    /// Decides. STRICT takes mutual TLS only. DISABLE terminates nothing. PERMISSIVE takes both, and tells TLS that is meant for the proxy
    /// from the application's own by its ALPN names, except where the application is declared to speak HTTP and so has no TLS of its own.
    /// </summary>
    /// <param name="mode">The port's mode.</param>
    /// <param name="sniff">What the first bytes are; "need more" means that the peer stayed silent until its deadline.</param>
    /// <param name="protocol">What the application is declared to speak.</param>
    public static Admission Decide(MtlsMode mode, TlsSniff sniff, AppProtocol protocol) => (mode, sniff) switch
    {
        (MtlsMode.Disable, TlsSniff.ClientHello hello) => new Anonymous(MayBeHttp: false, hello.Sni, "PeerAuthentication DISABLE: TLS is the application's"),
        (MtlsMode.Disable, TlsSniff.Malformed) => new Anonymous(MayBeHttp: false, null, "PeerAuthentication DISABLE"),
        (MtlsMode.Disable, _) => new Anonymous(MayBeHttp: true, null, "PeerAuthentication DISABLE"),

        (_, TlsSniff.Malformed malformed) => new Refuse(RefusalReason.MalformedClientHello, malformed.Problem),

        (MtlsMode.Strict, TlsSniff.ClientHello hello) => new Terminate(hello.Sni, hello.Alpn),
        (MtlsMode.Strict, TlsSniff.NeedMore) => new Refuse(RefusalReason.DetectionTimeout, "no ClientHello arrived before the deadline"),
        (MtlsMode.Strict, _) => new Refuse(RefusalReason.PlaintextRefused, "PeerAuthentication STRICT takes mutual TLS only"),

        (MtlsMode.Permissive, TlsSniff.ClientHello hello) when MeshAlpn.IsForProxy(hello.Alpn) || protocol.IsHttp() =>
            new Terminate(hello.Sni, hello.Alpn),
        (MtlsMode.Permissive, TlsSniff.ClientHello hello) =>
            new Anonymous(MayBeHttp: false, hello.Sni, "PeerAuthentication PERMISSIVE: TLS without a mesh protocol name is the application's"),
        (MtlsMode.Permissive, TlsSniff.NotTls) => new Anonymous(MayBeHttp: true, null, "PeerAuthentication PERMISSIVE: plaintext"),
        (MtlsMode.Permissive, TlsSniff.NeedMore) when !protocol.IsHttp() =>
            new Anonymous(MayBeHttp: false, null, "PeerAuthentication PERMISSIVE: the client waits for the server to speak first"),
        _ => new Refuse(RefusalReason.DetectionTimeout, "no request arrived before the deadline"),
    };
}
