using System.Net;
using System.Text;
using Signet.Policy;
using Signet.Proxy;
using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Telemetry;

/// <summary>A denied request of web to orders, and what formats make of it.</summary>
internal static class Records
{
    public static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly Peer Web = PeerOf("/ns/default/sa/web");

    public static Peer PeerOf(string path)
    {
        var svid = new TestAuthority(Now).Svid(path);
        return new Peer(svid.Id, svid.Chain, svid.NotAfter);
    }

    public static AccessRecord Denied()
    {
        var record = new AccessRecord
        {
            Began = Now,
            Direction = Direction.Inbound,
            Listener = "inbound-8080",
            Source = IPEndPoint.Parse("10.0.0.7:40000"),
            DestinationPort = 8080,
            DestinationIp = IPAddress.Parse("10.0.0.9"),
            DestinationWorkload = new Workload("default", "orders", new Dictionary<string, string> { ["tier"] = "one", ["app"] = "orders" }),
            Duration = TimeSpan.FromSeconds(2),
        };
        (record.SourcePeer, record.TlsVersion, record.TlsCipher, record.IsMutual) = (Web, "TLSv1.3", "TLS_AES_128_GCM_SHA256", true);
        (record.Protocol, record.Method, record.Host, record.Path, record.RequestId, record.Code) = ("http", "POST", "orders:8080", "/api?x=1", "id", 403);
        record.Refusal = RefusalReason.PolicyDenied;
        record.Verdict = new Verdict(Stage.Deny, "default/no-web", 2, "denied by rule 2", new Findings(["default/watch"], [new DryRunFinding("default/trial", PolicyAction.Deny, 0)]));
        return record;
    }

    /// <summary>A call that went well; what a test is about, it changes.</summary>
    public static AccessRecord Allowed(Direction direction = Direction.Inbound)
    {
        var record = new AccessRecord
        {
            Began = Now,
            Direction = direction,
            Listener = direction == Direction.Inbound ? "inbound-8080" : "outbound-orders:8080",
            Source = IPEndPoint.Parse("10.0.0.7:40000"),
            DestinationPort = 8080,
            DestinationHost = direction == Direction.Inbound ? null : "orders.default.svc.cluster.local",
            DestinationWorkload = direction == Direction.Inbound ? new Workload("default", "orders", new Dictionary<string, string>()) : null,
            Duration = TimeSpan.FromMilliseconds(1.5),
            SourcePeer = direction == Direction.Inbound ? Web : null,
            DestinationPeer = direction == Direction.Outbound ? Web : null,
        };
        (record.TlsVersion, record.IsMutual, record.Upstream, record.BytesReceived, record.BytesSent) = ("TLSv1.3", true, "127.0.0.1:8080", 10, 20);
        (record.Protocol, record.Method, record.Host, record.Path, record.RequestId, record.Code) = ("http", "GET", "orders", "/", "id", 200);
        return record;
    }

    public static string Line(IAccessFormat format, AccessRecord record)
    {
        var line = new LineBuffer();
        format.Write(line, record);
        return Encoding.UTF8.GetString(line.Span);
    }
}
