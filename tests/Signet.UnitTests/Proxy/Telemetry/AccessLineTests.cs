using System.Buffers;
using System.Net;
using System.Text;
using System.Text.Json;
using Signet.Policy;
using Signet.Policy.Traffic;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class AccessLineTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Writes_what_policy_simulate_reads()
    {
        var record = Record();
        Assert.True(AccessLogEntry.TryParse(Line(record, AccessLogFormat.Json), out var entry, out var problem), problem);

        Assert.Equal("example.org/ns/default/sa/web", entry!.Facts.Peer!.Principal);
        Assert.True(entry.Facts.MutualTls);
        Assert.Equal(("POST", "orders:8080", "/api?x=1", 8080), (entry.Facts.Method, entry.Facts.Host, entry.Facts.Path, entry.Facts.DestinationPort));
        Assert.Equal(("default", "orders"), (entry.Destination.Namespace, entry.Destination.Labels["app"]));
        Assert.False(entry.Allowed);
    }

    [Fact]
    public void Says_policy_rule_stage_and_reason_as_they_were_decided()
    {
        var json = JsonDocument.Parse(Line(Record(), AccessLogFormat.Json)).RootElement;

        Assert.Equal("2030-01-01T00:00:02.000Z", json.GetProperty("time").GetString());
        Assert.Equal(("deny", "deny", "default/no-web", 2, "denied by rule 2"), (
            json.GetProperty("verdict").GetString(), json.GetProperty("stage").GetString(), json.GetProperty("policy").GetString(), json.GetProperty("rule").GetInt32(), json.GetProperty("reason").GetString()));
        Assert.Equal((403, "PolicyDenied"), (json.GetProperty("response").GetProperty("code").GetInt32(), json.GetProperty("response").GetProperty("flag").GetString()));
        Assert.Equal(["default/watch"], json.GetProperty("audit").EnumerateArray().Select(policy => policy.GetString()));
        Assert.Equal("DENY", json.GetProperty("dryRun")[0].GetProperty("action").GetString());
    }

    [Fact]
    public void Is_one_line_in_either_format_whatever_a_peer_wrote()
    {
        var record = Record();
        (record.Path, record.Host, record.Verdict) = ("/\"\r\nforged=1", "a\nb", null);
        record.Refuse(RefusalReason.HandshakeFailed, "x\n\"forged\"");
        foreach (var format in Enum.GetValues<AccessLogFormat>())
        {
            var line = Line(record, format);
            Assert.Equal(line.Length - 1, line.IndexOf('\n'));
            Assert.DoesNotContain("\r", line, StringComparison.Ordinal);
        }

        Assert.Contains("code=403 verdict=deny stage=handshake", Line(record, AccessLogFormat.Text), StringComparison.Ordinal);
    }

    private static AccessRecord Record()
    {
        var svid = new TestAuthority(Now).Svid("/ns/default/sa/web");
        var record = new AccessRecord
        {
            Began = Now,
            Direction = Direction.Inbound,
            Listener = "inbound-8080",
            Source = IPEndPoint.Parse("10.0.0.7:40000"),
            DestinationPort = 8080,
            DestinationIp = IPAddress.Parse("10.0.0.9"),
            DestinationWorkload = new Workload("default", "orders", new Dictionary<string, string> { ["app"] = "orders" }),
            Duration = TimeSpan.FromSeconds(2),
        };
        (record.SourcePeer, record.TlsVersion, record.IsMutual) = (new Peer(svid.Id, svid.Chain, svid.NotAfter), "TLSv1.3", true);
        (record.Protocol, record.Method, record.Host, record.Path, record.RequestId, record.Code) = ("http", "POST", "orders:8080", "/api?x=1", "id", 403);
        record.Refusal = RefusalReason.PolicyDenied;
        record.Verdict = new Verdict(Stage.Deny, "default/no-web", 2, "denied by rule 2", new Findings(["default/watch"], [new DryRunFinding("default/trial", PolicyAction.Deny, 0)]));
        return record;
    }

    private static string Line(AccessRecord record, AccessLogFormat format)
    {
        var line = new ArrayBufferWriter<byte>();
        AccessLine.Write(line, record, format);
        return Encoding.UTF8.GetString(line.WrittenSpan);
    }
}
