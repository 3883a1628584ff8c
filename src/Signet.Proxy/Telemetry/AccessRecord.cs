using System.Net;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Proxy.Connections;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Telemetry;

/// <summary>What the access log says about one connection or request: the very values that the code branched on.</summary>
internal sealed class AccessRecord
{
    public required DateTimeOffset Began { get; init; }

    public required Direction Direction { get; init; }

    public required string Listener { get; init; }

    /// <summary><c>http</c>, <c>tcp</c>, or null when it ended before that was known.</summary>
    public string? Protocol { get; set; }

    public required IPEndPoint Source { get; init; }

    /// <summary>The client's address as a load balancer that is believed reported it; null when none did.</summary>
    public IPAddress? RemoteIp { get; set; }

    public Peer? SourcePeer { get; set; }

    /// <summary>Outbound: the service's name.</summary>
    public string? DestinationHost { get; init; }

    /// <summary>Inbound the workload's port, outbound the service's.</summary>
    public required int DestinationPort { get; init; }

    /// <summary>Inbound: the address that the peer connected to.</summary>
    public IPAddress? DestinationIp { get; init; }

    /// <summary>Inbound: the workload that policies were asked about.</summary>
    public Workload? DestinationWorkload { get; init; }

    /// <summary>Outbound: who answered.</summary>
    public Peer? DestinationPeer { get; set; }

    /// <summary>The application's or endpoint's address that was connected to.</summary>
    public string? Upstream { get; set; }

    public string? TlsVersion { get; set; }

    public string? TlsCipher { get; set; }

    /// <summary>Whether both sides had a certificate.</summary>
    public bool IsMutual { get; set; }

    /// <summary>Whether the handshake took up an earlier session.</summary>
    public bool IsResumed { get; set; }

    public string? Sni { get; set; }

    public string? Alpn { get; set; }

    public string? RequestId { get; set; }

    /// <summary>The version of HTTP in which the request came: <c>1.0</c>, <c>1.1</c> or <c>2</c>.</summary>
    public string? Version { get; set; }

    /// <summary>The same as <c>HTTP/1.1</c> or <c>HTTP/2</c>; null for what is not HTTP.</summary>
    public string? HttpVersion => Version switch { "1.0" => "HTTP/1.0", "1.1" => "HTTP/1.1", "2" => "HTTP/2", _ => null };

    public string? Method { get; set; }

    public string? Host { get; set; }

    public string? Path { get; set; }

    /// <summary>The status that the client got; null for TCP and when it got none.</summary>
    public int? Code { get; set; }

    /// <summary>The status of a gRPC call; null for other requests and when it got none.</summary>
    public int? GrpcStatus { get; set; }

    public RefusalReason? Refusal { get; set; }

    /// <summary>What policy said; null when it was not asked.</summary>
    public Verdict? Verdict { get; set; }

    /// <summary>In words, when policy did not say it.</summary>
    public string? Detail { get; set; }

    public long BytesReceived { get; set; }

    public long BytesSent { get; set; }

    public TimeSpan Duration { get; set; }

    /// <summary>Which trace the request belongs to; null when that is not known.</summary>
    public TraceContext? Trace { get; set; }

    /// <summary>The request's fields as they came; null unless a template asks for some of them.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? RequestFields { get; set; }

    /// <summary>The response's fields as the client got them; null when it got none, or when no template asks for some of them.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? ResponseFields { get; set; }

    /// <summary>Whether what the proxy itself says had better be plain text.</summary>
    public bool PrefersText { get; set; }

    public DateTimeOffset Ended => Began + Duration;

    /// <summary>Whether the proxy did not let it happen; what went wrong elsewhere is no denial.</summary>
    public bool IsDenied => Refusal is { } refusal && Refusals.StageOf(refusal) is not ("upstream" or "connection");

    /// <summary>Where in a connection's life it was decided.</summary>
    public string Stage =>
        Refusal is { } refusal and not (RefusalReason.PolicyDenied or RefusalReason.PolicyChanged) ? Refusals.StageOf(refusal)
        : Verdict is { } verdict ? verdict.Stage.Word()
        : Direction == Direction.Outbound ? "outbound" : "default";

    /// <summary>Why, in words; empty when there is nothing to say.</summary>
    public string Reason => Detail ?? Verdict?.Reason ?? "";

    /// <summary>A peer's SPIFFE ID as policies write it.</summary>
    public static ReadOnlySpan<char> PrincipalOf(SpiffeId id) => id.Uri.AsSpan(SpiffeId.SchemePrefix.Length);

    public void Refuse(RefusalReason reason, string detail) => (Refusal, Detail) = (reason, detail);

    public void Note(TlsSession session)
    {
        (TlsVersion, TlsCipher, Alpn, IsMutual, IsResumed) = (session.Version, session.CipherSuite, session.Alpn, session.IsMutual, session.IsResumed);
        if (Direction == Direction.Inbound)
        {
            SourcePeer = session.Peer;
        }
        else
        {
            DestinationPeer = session.Peer;
        }
    }
}
