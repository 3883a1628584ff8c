using Signet.Client.Tls;
using Signet.Identity.X509;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Tls;

/// <summary>
/// Makes mutual TLS out of a transport. The protocol is the engine's; who the peer may be is asked of the setup, over the certificates as
/// they were sent. An engine never falls back: the answer is a session with a proven peer or a refusal.
/// </summary>
public interface ITlsEngine
{
    /// <summary>The accepting side's handshake. The peer must present a certificate.</summary>
    /// <exception cref="OperationCanceledException">The connection was closed meanwhile.</exception>
    Task<TlsOutcome> AcceptAsync(ITransport below, TlsServerSetup setup, CancellationToken cancellationToken);

    /// <summary>The connecting side's handshake.</summary>
    /// <inheritdoc cref="AcceptAsync"/>
    Task<TlsOutcome> ConnectAsync(ITransport below, TlsClientSetup setup, CancellationToken cancellationToken);
}

/// <param name="Credential">What this side presents.</param>
/// <param name="Alpn">The protocol name to select, one that the client offered; null selects none.</param>
/// <param name="Judge">Asked once with the peer's certificates.</param>
public sealed record TlsServerSetup(TlsCredential Credential, string? Alpn, Func<IReadOnlyList<Certificate>, Judgement> Judge);

/// <param name="Credential">What this side presents.</param>
/// <param name="ServerName">The SNI name to ask for.</param>
/// <param name="Alpn">The protocol names to offer.</param>
/// <param name="Judge">Asked once with the peer's certificates.</param>
public sealed record TlsClientSetup(TlsCredential Credential, string ServerName, IReadOnlyList<string> Alpn, Func<IReadOnlyList<Certificate>, Judgement> Judge);

/// <summary>How a handshake ended.</summary>
public abstract record TlsOutcome
{
    private TlsOutcome()
    {
    }

    public sealed record Established(TlsSession Session) : TlsOutcome;

    /// <param name="Reason">The closed reason.</param>
    /// <param name="Detail">For the operator; not for the peer.</param>
    /// <param name="Leaf">What the peer presented, trusted or not; null when it presented nothing.</param>
    public sealed record Refused(RefusalReason Reason, string Detail, Certificate? Leaf) : TlsOutcome;
}

/// <summary>A connection whose peer is proven.</summary>
/// <param name="Transport">The bytes inside; owns what is below.</param>
/// <param name="Peer">Who is there.</param>
/// <param name="Version">As OpenSSL writes it: <c>TLSv1.3</c>.</param>
/// <param name="CipherSuite">The IANA name.</param>
/// <param name="Alpn">The protocol name that was agreed on, or null.</param>
public sealed record TlsSession(ITransport Transport, Peer Peer, string Version, string CipherSuite, string? Alpn);
