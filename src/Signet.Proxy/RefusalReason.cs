namespace Signet.Proxy;

/// <summary>
/// Every reason for which the proxy refuses, ends or fails a connection or a request. Closed: each has a sentence in
/// docs/reference/refusals.md, a value of the <c>reason</c> label of metrics, and a test that provokes it.
/// </summary>
public enum RefusalReason
{
    // --- this proxy's own identity
    WaitingForSvid,
    OwnSvidExpired,
    WaitingForPolicy,

    // --- before TLS
    NotCaptured,
    DestinationUnknown,
    ProxyHeaderInvalid,
    PlaintextRefused,
    DetectionTimeout,
    MalformedClientHello,

    // --- the handshake
    HandshakeTimeout,
    HandshakeFailed,
    PeerCertificateMissing,
    PeerCertificateInvalid,
    PeerCertificateNotYetValid,
    PeerCertificateExpired,
    PeerCertificateRevoked,
    PeerAuthorityUnknown,
    PeerTrustDomainUnknown,
    PeerNotAWorkload,
    PeerIdentityUnexpected,

    // --- authorisation
    PolicyDenied,
    TokenInvalid,
    ClientTlsUnsupported,
    CredentialUnusable,

    // --- connections that were allowed once
    PolicyChanged,
    PeerNoLongerTrusted,
    PeerExpired,
    IdleTimeout,
    Draining,
    ClientLeft,

    // --- HTTP
    MalformedRequest,
    RequestHeadTimeout,
    DeadlineExceeded,
    RateLimited,

    // --- the other side of the proxy
    UpstreamUnhealthy,
    UpstreamOverloaded,
    UpstreamConnectFailed,
    UpstreamConnectTimeout,
    UpstreamClosed,
    UpstreamMalformed,
    UpstreamTimeout,
}
