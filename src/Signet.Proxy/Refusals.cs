namespace Signet.Proxy;

/// <summary>What is known of each refusal reason beside its name.</summary>
public static class Refusals
{
    /// <summary>Where in a connection's life it belongs, as the access log's <c>stage</c> says it.</summary>
    public static string StageOf(RefusalReason reason) => reason switch
    {
        RefusalReason.WaitingForSvid or RefusalReason.OwnSvidExpired or RefusalReason.CredentialUnusable => "identity",
        RefusalReason.PlaintextRefused => "peer-authentication",
        RefusalReason.NotCaptured or RefusalReason.DestinationUnknown => "capture",
        RefusalReason.ProxyHeaderInvalid or RefusalReason.DetectionTimeout or RefusalReason.MalformedClientHello => "detection",
        RefusalReason.HandshakeTimeout or RefusalReason.HandshakeFailed or RefusalReason.PeerCertificateMissing or RefusalReason.PeerCertificateInvalid
            or RefusalReason.PeerCertificateNotYetValid or RefusalReason.PeerCertificateExpired or RefusalReason.PeerAuthorityUnknown
            or RefusalReason.PeerTrustDomainUnknown or RefusalReason.PeerNotAWorkload or RefusalReason.PeerIdentityUnexpected => "handshake",
        RefusalReason.PolicyDenied or RefusalReason.PolicyChanged or RefusalReason.ClientTlsUnsupported => "policy",
        RefusalReason.TokenInvalid => "request-authentication",
        RefusalReason.PeerNoLongerTrusted or RefusalReason.PeerExpired => "handshake",
        RefusalReason.IdleTimeout or RefusalReason.Draining => "connection",
        RefusalReason.MalformedRequest or RefusalReason.RequestHeadTimeout or RefusalReason.RateLimited => "request",
        RefusalReason.UpstreamUnhealthy or RefusalReason.UpstreamOverloaded or RefusalReason.UpstreamConnectFailed or RefusalReason.UpstreamConnectTimeout
            or RefusalReason.UpstreamClosed or RefusalReason.UpstreamMalformed or RefusalReason.UpstreamTimeout => "upstream",
        _ => throw new ArgumentOutOfRangeException(nameof(reason)),
    };

    /// <summary>The status of a response that the proxy itself makes.</summary>
    internal static int Status(RefusalReason reason) => reason switch
    {
        RefusalReason.PolicyDenied => 403,
        RefusalReason.TokenInvalid => 401,
        RefusalReason.RequestHeadTimeout => 408,
        RefusalReason.MalformedRequest => 400,
        RefusalReason.RateLimited => 429,
        RefusalReason.UpstreamConnectTimeout or RefusalReason.UpstreamTimeout => 504,
        RefusalReason.UpstreamMalformed or RefusalReason.UpstreamClosed => 502,
        _ => 503,
    };

    /// <summary>The stable code that a client sees: which side of the mesh it should look at, and nothing about policy.</summary>
    internal static string PublicCode(RefusalReason reason) => reason switch
    {
        RefusalReason.PolicyDenied => "denied",
        RefusalReason.TokenInvalid => "invalid_token",
        RefusalReason.RequestHeadTimeout => "request_timeout",
        RefusalReason.MalformedRequest => "malformed_request",
        RefusalReason.WaitingForSvid or RefusalReason.OwnSvidExpired or RefusalReason.CredentialUnusable => "no_identity",
        RefusalReason.RateLimited => "rate_limited",
        RefusalReason.UpstreamOverloaded => "upstream_overloaded",
        RefusalReason.UpstreamConnectFailed or RefusalReason.UpstreamConnectTimeout or RefusalReason.UpstreamUnhealthy => "upstream_unreachable",
        RefusalReason.UpstreamTimeout => "upstream_timeout",
        RefusalReason.UpstreamMalformed or RefusalReason.UpstreamClosed => "upstream_failed",
        _ => "upstream_refused",
    };
}
