using System.Net;
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

    public string? Method { get; set; }

    public string? Host { get; set; }

    public string? Path { get; set; }

    /// <summary>The status that the client got; null for TCP and when it got none.</summary>
    public int? Code { get; set; }

    public RefusalReason? Refusal { get; set; }

    /// <summary>What policy said; null when it was not asked.</summary>
    public Verdict? Verdict { get; set; }

    /// <summary>In words, when policy did not say it.</summary>
    public string? Detail { get; set; }

    public long BytesReceived { get; set; }

    public long BytesSent { get; set; }

    public TimeSpan Duration { get; set; }

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
