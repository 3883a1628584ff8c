namespace Signet.Proxy.Sniffing;

/// <summary>What the first bytes of a connection say about TLS.</summary>
public abstract record TlsSniff
{
    private TlsSniff()
    {
    }

    /// <summary>The bytes so far fit a ClientHello; more are needed to know.</summary>
    public sealed record NeedMore : TlsSniff
    {
        public static NeedMore Instance { get; } = new();
    }

    /// <summary>The peer speaks something else.</summary>
    public sealed record NotTls : TlsSniff
    {
        public static NotTls Instance { get; } = new();
    }

    /// <summary>A whole ClientHello was read.</summary>
    /// <param name="Sni">The host name asked for (RFC 6066 §3), or null.</param>
    /// <param name="Alpn">The protocols offered (RFC 7301), in order; empty without the extension.</param>
    public sealed record ClientHello(string? Sni, IReadOnlyList<string> Alpn) : TlsSniff;

    /// <summary>It began like TLS and then broke the rules; it is neither TLS nor safe to take for plaintext.</summary>
    public sealed record Malformed(string Problem) : TlsSniff;
}
