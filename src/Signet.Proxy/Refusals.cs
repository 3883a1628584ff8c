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
            or RefusalReason.PeerCertificateNotYetValid or RefusalReason.PeerCertificateExpired or RefusalReason.PeerCertificateRevoked or RefusalReason.PeerAuthorityUnknown
            or RefusalReason.PeerTrustDomainUnknown or RefusalReason.PeerNotAWorkload or RefusalReason.PeerIdentityUnexpected => "handshake",
        RefusalReason.WaitingForPolicy or RefusalReason.PolicyDenied or RefusalReason.PolicyChanged or RefusalReason.ClientTlsUnsupported => "policy",
        RefusalReason.TokenInvalid => "request-authentication",
        RefusalReason.PeerNoLongerTrusted or RefusalReason.PeerExpired => "handshake",
        RefusalReason.IdleTimeout or RefusalReason.Draining or RefusalReason.ClientLeft or RefusalReason.DeadlineExceeded => "connection",
        RefusalReason.MalformedRequest or RefusalReason.RequestHeadTimeout or RefusalReason.RateLimited => "request",
        RefusalReason.UpstreamUnhealthy or RefusalReason.UpstreamOverloaded or RefusalReason.UpstreamConnectFailed or RefusalReason.UpstreamConnectTimeout
            or RefusalReason.UpstreamClosed or RefusalReason.UpstreamMalformed or RefusalReason.UpstreamTimeout => "upstream",
        _ => throw new ArgumentOutOfRangeException(nameof(reason)),
    };

    /// <summary>The status of a response that the proxy itself makes.</summary>
    internal static int Status(RefusalReason reason) => reason switch
    {
        RefusalReason.PolicyDenied or RefusalReason.PolicyChanged => 403,
        RefusalReason.TokenInvalid => 401,
        RefusalReason.RequestHeadTimeout => 408,
        RefusalReason.MalformedRequest => 400,
        RefusalReason.RateLimited => 429,
        RefusalReason.UpstreamConnectTimeout or RefusalReason.UpstreamTimeout or RefusalReason.DeadlineExceeded => 504,
        RefusalReason.UpstreamMalformed or RefusalReason.UpstreamClosed => 502,
        _ => 503,
    };

    /// <summary>What a client is told beside the code: whose turn it is, and nothing about policy.</summary>
    internal static string PublicWords(string code) => code switch
    {
        "denied" => "The service does not allow this request.",
        "invalid_token" => "The request brings a token that is not believed here.",
        "request_timeout" => "The request was not complete in time.",
        "deadline_exceeded" => "The request's own deadline has passed.",
        "malformed_request" => "The request breaks the rules of HTTP, or could be read in two ways.",
        "rate_limited" => "The service takes no more requests at this moment; try again later.",
        "no_identity" => "The proxy has no valid identity at this moment; try again later.",
        "not_ready" => "The proxy is not ready yet; try again later.",
        "upstream_unreachable" => "The service cannot be reached at this moment; try again later.",
        "upstream_overloaded" => "As many requests to the service are under way as may be; try again later.",
        "upstream_timeout" => "The service did not answer in time.",
        "upstream_failed" => "The service ended the connection before its answer was whole.",
        "upstream_refused" => "No connection to the service was made.",
        _ => throw new ArgumentOutOfRangeException(nameof(code)),
    };

    /// <summary>The stable code that a client sees: which side of the mesh it should look at, and nothing about policy.</summary>
    internal static string PublicCode(RefusalReason reason) => reason switch
    {
        RefusalReason.PolicyDenied or RefusalReason.PolicyChanged => "denied",
        RefusalReason.TokenInvalid => "invalid_token",
        RefusalReason.RequestHeadTimeout => "request_timeout",
        RefusalReason.DeadlineExceeded => "deadline_exceeded",
        RefusalReason.MalformedRequest => "malformed_request",
        RefusalReason.WaitingForSvid or RefusalReason.OwnSvidExpired or RefusalReason.CredentialUnusable => "no_identity",
        RefusalReason.WaitingForPolicy => "not_ready",
        RefusalReason.RateLimited => "rate_limited",
        RefusalReason.UpstreamOverloaded => "upstream_overloaded",
        RefusalReason.UpstreamConnectFailed or RefusalReason.UpstreamConnectTimeout or RefusalReason.UpstreamUnhealthy => "upstream_unreachable",
        RefusalReason.UpstreamTimeout => "upstream_timeout",
        RefusalReason.UpstreamMalformed or RefusalReason.UpstreamClosed => "upstream_failed",
        _ => "upstream_refused",
    };
}
