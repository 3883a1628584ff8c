using System.Net;

namespace Signet.Proxy.ProxyProtocol;

/// <summary>The two forms of the header.</summary>
public enum ProxyVersion
{
    /// <summary>A line of text.</summary>
    V1 = 1,

    /// <summary>Binary, with room for more than addresses.</summary>
    V2 = 2,
}

/// <summary>
/// What a load balancer says about a connection that it passes on: HAProxy's PROXY protocol, versions 1 and 2. Immutable. Addresses are
/// missing when the connection is the sender's own (LOCAL), or of a kind that TCP endpoints can't describe; then the real ones count.
/// </summary>
/// <param name="Version">The form it came in, or goes out in.</param>
/// <param name="Addresses">Who connected to whom; null when the real endpoints count.</param>
public sealed record ProxyHeader(ProxyVersion Version, ProxyAddresses? Addresses)
{
    /// <summary>The name that the client asked for, SNI when it spoke TLS; null when unknown. Only version 2 has it.</summary>
    public string? Authority { get; init; }

    /// <summary>The protocol that was agreed on by ALPN; null when unknown. Only version 2 has it.</summary>
    public string? Alpn { get; init; }

    /// <summary>The sender's name for the connection, in lower-case hex; null when it has none. Only version 2 has it.</summary>
    public string? UniqueId { get; init; }

    /// <summary>The client's TLS as the sender ended it; null when there was none or it was not told. Only version 2 has it.</summary>
    public ProxyTls? Tls { get; init; }
}

/// <summary>Both ends of the connection that is passed on.</summary>
/// <param name="Source">Who connected.</param>
/// <param name="Destination">Where to.</param>
public sealed record ProxyAddresses(IPEndPoint Source, IPEndPoint Destination);

/// <summary>What the sender says about the TLS between the client and itself. Texts are printable ASCII, except for the common name.</summary>
public sealed record ProxyTls
{
    /// <summary>Whether the client showed a certificate on this connection.</summary>
    public bool HasCertificate { get; init; }

    /// <summary>Whether it was verified. Without a certificate this says nothing.</summary>
    public bool IsVerified { get; init; }

    /// <summary>As <c>TLSv1.3</c>.</summary>
    public string? Version { get; init; }

    /// <summary>As <c>TLS_AES_256_GCM_SHA384</c>.</summary>
    public string? Cipher { get; init; }

    /// <summary>The client certificate's common name.</summary>
    public string? CommonName { get; init; }

    /// <summary>As <c>SHA256</c>: how the sender's own certificate is signed.</summary>
    public string? SignatureAlgorithm { get; init; }

    /// <summary>As <c>EC256</c>: the key in the sender's own certificate.</summary>
    public string? KeyAlgorithm { get; init; }
}

/// <summary>What the first bytes of a connection say about the header.</summary>
public abstract record ProxyHeaderRead
{
    private ProxyHeaderRead()
    {
    }

    /// <summary>So far it is the beginning of a header; nothing may be done before the rest is there.</summary>
    public sealed record NeedMore : ProxyHeaderRead
    {
        public static NeedMore Instance { get; } = new();
    }

    /// <summary>The whole header.</summary>
    /// <param name="Header">What it says.</param>
    /// <param name="Length">How many bytes it took; what follows is the connection's own.</param>
    public sealed record Whole(ProxyHeader Header, int Length) : ProxyHeaderRead;

    /// <summary>It is none, or it breaks the rules: the connection must end.</summary>
    public sealed record Malformed(string Problem) : ProxyHeaderRead;
}
