using Signet.Proxy.Config;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Tls;

/// <summary>What a handshake as server takes.</summary>
/// <param name="Context">What this side presents, and whether sessions are kept.</param>
/// <param name="Alpn">The protocol name to select, one that the client offered; null selects none.</param>
/// <param name="Judge">Asked once with the peer's certificates, DER, leaf first; without a peer in its answer there is no session.</param>
/// <param name="Time">Sessions end with the peer's certificate.</param>
/// <param name="NeverResumed">Whose handshakes are full each time.</param>
internal sealed record TlsServerSetup(
    TlsContext Context, string? Alpn, Func<IReadOnlyList<ReadOnlyMemory<byte>>, Judgement> Judge, TimeProvider Time, IReadOnlyList<PeerPattern> NeverResumed);

/// <summary>What a handshake as client takes.</summary>
/// <param name="Credential">What this side presents.</param>
/// <param name="ServerName">The SNI name to ask for; empty asks for none.</param>
/// <param name="Alpn">The protocol names to offer.</param>
/// <param name="Destination">Sessions are resumed only toward the same destination, in words that say everything the server was believed for; null resumes and keeps none.</param>
/// <param name="Judge">As for a server.</param>
internal sealed record TlsClientSetup(
    ClientCredential Credential, string ServerName, IReadOnlyList<string> Alpn, string? Destination, Func<IReadOnlyList<ReadOnlyMemory<byte>>, Judgement> Judge);

/// <summary>How a handshake ended.</summary>
internal abstract record TlsOutcome
{
    private TlsOutcome()
    {
    }

    public sealed record Established(TlsSession Session) : TlsOutcome;

    /// <param name="Reason">The closed reason.</param>
    /// <param name="Detail">For the operator; not for the peer.</param>
    public sealed record Refused(RefusalReason Reason, string Detail) : TlsOutcome;
}

/// <summary>A connection whose peer is proven.</summary>
/// <param name="Transport">The bytes inside; owns what is below.</param>
/// <param name="Peer">Who is there.</param>
/// <param name="Version">As OpenSSL writes it: <c>TLSv1.3</c>.</param>
/// <param name="CipherSuite">The IANA name.</param>
/// <param name="Alpn">The protocol name that was agreed on, or null.</param>
/// <param name="IsResumed">Whether the keys came from an earlier session; the peer was judged again all the same.</param>
public sealed record TlsSession(ITransport Transport, Peer Peer, string Version, string CipherSuite, string? Alpn, bool IsResumed)
{
    /// <summary>Whether this side, too, had a certificate to present.</summary>
    public bool IsMutual { get; init; } = true;

    /// <summary>The earliest end in the chain that this side presented: the connection may not outlive it either.</summary>
    public DateTimeOffset OwnExpiresAt { get; init; } = DateTimeOffset.MaxValue;

    /// <summary>When the first certificate of either side ends, and the connection with it.</summary>
    public DateTimeOffset ExpiresAt => Peer.ExpiresAt < OwnExpiresAt ? Peer.ExpiresAt : OwnExpiresAt;
}
