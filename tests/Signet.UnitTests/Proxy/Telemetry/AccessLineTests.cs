using System.Net;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Signet.Policy.Traffic;
using Signet.Proxy;
using Signet.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class AccessLineTests
{
    [Fact]
    public void Writes_what_policy_simulate_reads()
    {
        Assert.True(AccessLogEntry.TryParse(Records.Line(new JsonLine(), Records.Denied()), out var entry, out var problem), problem);

        Assert.Equal("example.org/ns/default/sa/web", entry!.Facts.Peer!.Principal);
        Assert.True(entry.Facts.MutualTls);
        Assert.Equal(("POST", "orders:8080", "/api?x=1", 8080), (entry.Facts.Method, entry.Facts.Host, entry.Facts.Path, entry.Facts.DestinationPort));
        Assert.Equal(("default", "orders"), (entry.Destination.Namespace, entry.Destination.Labels["app"]));
        Assert.False(entry.Allowed);
    }

    [Fact]
    public void Says_policy_rule_stage_and_reason_as_they_were_decided()
    {
        var json = Json(Records.Denied());

        Assert.Equal("2030-01-01T00:00:02.000Z", json.GetProperty("time").GetString());
        Assert.Equal(("deny", "deny", "default/no-web", 2, "denied by rule 2"), (
            json.GetProperty("verdict").GetString(), json.GetProperty("stage").GetString(), json.GetProperty("policy").GetString(), json.GetProperty("rule").GetInt32(), json.GetProperty("reason").GetString()));
        Assert.Equal((403, "PolicyDenied"), (json.GetProperty("response").GetProperty("code").GetInt32(), json.GetProperty("response").GetProperty("flag").GetString()));
        Assert.Equal(["default/watch"], json.GetProperty("audit").EnumerateArray().Select(policy => policy.GetString()));
        Assert.Equal("DENY", json.GetProperty("dryRun")[0].GetProperty("action").GetString());
    }

    [Fact]
    public void Says_the_version_of_a_request_and_the_status_of_a_gRPC_call_only_when_there_is_one()
    {
        var record = Records.Denied();
        record.Version = "2";
        Assert.False(Json(record).GetProperty("response").TryGetProperty("grpcStatus", out _));
        Assert.DoesNotContain("grpc=", Records.Line(new TextLine(), record), StringComparison.Ordinal);

        record.GrpcStatus = 7;
        var json = Json(record);
        Assert.Equal((7, "2"), (json.GetProperty("response").GetProperty("grpcStatus").GetInt32(), json.GetProperty("request").GetProperty("version").GetString()));
        Assert.Contains("code=403 grpc=7 verdict=", Records.Line(new TextLine(), record), StringComparison.Ordinal);
    }

    [Fact]
    public void Has_the_same_names_whatever_is_known_of_a_connection()
    {
        var (denied, bare) = (Json(Records.Denied()), Json(Bare()));

        Assert.Equal(
            Names(denied).Except(["request", "request.id", "request.version", "request.method", "request.host", "request.path", "audit", "dryRun", "destination.labels.app", "destination.labels.tier"]), Names(bare));
        Assert.Equal((JsonValueKind.Null, JsonValueKind.False), (bare.GetProperty("destination").GetProperty("ip").ValueKind, bare.GetProperty("tls").GetProperty("mutual").ValueKind));
        Assert.Equal(["app", "tier"], denied.GetProperty("destination").GetProperty("labels").EnumerateObject().Select(label => label.Name));
    }

    [Fact]
    public void Names_a_server_outside_the_mesh_by_its_host_and_never_as_a_principal()
    {
        var record = Records.Allowed(Signet.Proxy.Connections.Direction.Outbound);
        (record.DestinationPeer, record.IsMutual) = (Records.PeerOf("/a") with { Id = null, Host = "api.example.com" }, false);
        var json = Json(record);

        Assert.Equal(("api.example.com", JsonValueKind.Null), (json.GetProperty("destination").GetProperty("serverName").GetString(), json.GetProperty("destination").GetProperty("principal").ValueKind));
        Assert.Equal(("TLSv1.3", false), (json.GetProperty("tls").GetProperty("version").GetString(), json.GetProperty("tls").GetProperty("mutual").GetBoolean()));
        Assert.Contains(" via api.example.com@127.0.0.1:8080 ", Records.Line(new TextLine(), record), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Null, Json(Records.Allowed(Signet.Proxy.Connections.Direction.Outbound)).GetProperty("destination").GetProperty("serverName").ValueKind);
    }

    [Fact]
    public void Shows_the_labels_of_each_workload_even_when_lines_of_several_follow_each_other()
    {
        var format = new JsonLine();

        Assert.Equal("orders", JsonDocument.Parse(Records.Line(format, Records.Denied())).RootElement.GetProperty("destination").GetProperty("workload").GetString());
        Assert.Equal(JsonValueKind.Null, JsonDocument.Parse(Records.Line(format, Bare())).RootElement.GetProperty("destination").GetProperty("workload").ValueKind);
    }

    [Fact]
    public void Says_the_same_whether_it_remembers_a_connection_or_not()
    {
        var peers = new[] { null, Records.PeerOf("/a"), Records.PeerOf("/b"), Records.PeerOf("/b") with { Id = null, Host = "a.example" } };
        var texts = new[] { null, "a", "b" };
        var remembering = new JsonLine();
        Prop.ForAll<int>(seed =>
        {
            var random = new Random(seed);
            T One<T>(T[] of) => of[random.Next(of.Length)];
            var record = new AccessRecord
            {
                Began = Records.Now.AddMilliseconds(random.Next(5000)),
                Direction = One(Enum.GetValues<Signet.Proxy.Connections.Direction>()),
                Listener = One(texts) ?? "c",
                Source = new IPEndPoint(IPAddress.Parse("10.0.0.7"), random.Next(1, 4)),
                DestinationHost = One(texts),
                DestinationPort = random.Next(2),
                DestinationIp = One([null, IPAddress.Loopback]),
                DestinationWorkload = One([null, new Signet.Policy.Workload("n", "a", new Dictionary<string, string> { ["x"] = "y" })]),
            };
            (record.Protocol, record.RemoteIp, record.SourcePeer, record.DestinationPeer) = (One(texts), One([null, IPAddress.Any]), One(peers), One(peers));
            (record.Upstream, record.TlsVersion, record.TlsCipher, record.Sni, record.Alpn, record.IsMutual, record.IsResumed) = (One(texts), One(texts), One(texts), One(texts), One(texts), One([true, false]), One([true, false]));
            Assert.Equal(Records.Line(new JsonLine(), record), Records.Line(remembering, record));
            Assert.Equal(Records.Line(new JsonLine(), record), Records.Line(remembering, record));
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(15_000, "1.5")]
    [InlineData(12_345, "1.235")]
    [InlineData(10, "0.001")]
    [InlineData(20_000_000, "2000")]
    public void Gives_durations_to_the_microsecond(long ticks, string expected)
    {
        var record = Records.Denied();
        record.Duration = TimeSpan.FromTicks(ticks);

        Assert.Equal(expected, Json(record).GetProperty("durationMs").GetRawText());
        Assert.Contains($" ms={expected} ", Records.Line(new TextLine(), record), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2001:db8::7", "2001:db8::7", "@[2001:db8::7]:40000 ")]
    [InlineData("10.0.0.7", "10.0.0.7", "@10.0.0.7:40000 ")]
    public void Writes_addresses_of_both_families(string address, string json, string text)
    {
        var record = Bare(new IPEndPoint(IPAddress.Parse(address), 40000));

        Assert.Equal(json, Json(record).GetProperty("source").GetProperty("ip").GetString());
        Assert.Contains(text, Records.Line(new TextLine(), record), StringComparison.Ordinal);
    }

    [Fact]
    public void Is_one_line_in_either_format_whatever_a_peer_wrote()
    {
        var record = Records.Denied();
        (record.Path, record.Host, record.Verdict) = ("/\"\r\nforged=1", "a\nb", null);
        record.Refuse(RefusalReason.HandshakeFailed, "x\n\"forged\"");
        foreach (var format in (IAccessFormat[])[new JsonLine(), new TextLine()])
        {
            var line = Records.Line(format, record);
            Assert.Equal(line.Length - 1, line.IndexOf('\n'));
            Assert.DoesNotContain("\r", line, StringComparison.Ordinal);
        }

        Assert.Contains("code=403 verdict=deny stage=handshake", Records.Line(new TextLine(), record), StringComparison.Ordinal);
        Assert.EndsWith("reason=\"x\\u000a\\\"forged\\\"\"\n", Records.Line(new TextLine(), record), StringComparison.Ordinal);
    }

    [Fact]
    public void Neither_breaks_JSON_nor_loses_letters_nor_lets_a_terminal_be_talked_to_whatever_text_it_gets()
    {
        Prop.ForAll<string>(text =>
        {
            var record = Records.Denied();
            (record.Path, record.Host, record.RequestId) = (text, text + "\e[2J\u009b1m\u202eé漢🎉\ud800", text);
            var line = Records.Line(new JsonLine(), record);
            Assert.DoesNotContain(line[..^1], c => char.IsControl(c) || c is '\u202e' or '\u2028' or '\ufeff');
            var host = JsonDocument.Parse(line).RootElement.GetProperty("request").GetProperty("host").GetString()!;
            Assert.EndsWith("\e[2J\u009b1m\u202eé漢🎉\ufffd", host, StringComparison.Ordinal);
            Assert.DoesNotContain(Records.Line(new TextLine(), record)[..^1], c => char.IsControl(c) || c is '\u202e' or '\u2028');
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Cuts_text_that_is_longer_than_a_line_should_be()
    {
        var record = Records.Denied();
        record.Path = "/" + new string('a', 100_000);

        Assert.Equal(LineBuffer.MaxText, Json(record).GetProperty("request").GetProperty("path").GetString()!.Length);
    }

    private static AccessRecord Bare(IPEndPoint? source = null) => new()
    {
        Began = Records.Now,
        Direction = Signet.Proxy.Connections.Direction.Outbound,
        Listener = "outbound-a:1",
        Source = source ?? IPEndPoint.Parse("10.0.0.7:40000"),
        DestinationPort = 1,
    };

    private static JsonElement Json(AccessRecord record) => JsonDocument.Parse(Records.Line(new JsonLine(), record)).RootElement;

    private static IEnumerable<string> Names(JsonElement json, string prefix = "") => json.EnumerateObject().SelectMany(member =>
        member.Value.ValueKind == JsonValueKind.Object ? Names(member.Value, $"{prefix}{member.Name}.").Prepend(prefix + member.Name) : [prefix + member.Name]);
}
