using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

public sealed class OutboundTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    [Theory]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Auto)]
    public async Task Carries_a_request_through_two_proxies_by_mutual_TLS(AppProtocol protocol)
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, protocol);
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal("hello", (await client.AskAsync(Get)).Body);

        Assert.Contains("URI=spiffe://example.org/ns/default/sa/web", App.Field(app.Heads.Single(), "x-forwarded-client-cert"), StringComparison.Ordinal);
        var outLine = await web.LoggedAsync(line => line.TryGetProperty("request", out _), "the outbound line");
        var inLine = await orders.LoggedAsync(line => line.TryGetProperty("request", out _), "the inbound line");
        Assert.Equal("example.org/ns/default/sa/orders", outLine.GetProperty("destination").GetProperty("principal").GetString());
        Assert.Equal("TLSv1.3", outLine.GetProperty("tls").GetProperty("version").GetString());
        Assert.Equal("outbound_.8080_._.orders.default.svc.cluster.local", inLine.GetProperty("tls").GetProperty("sni").GetString());
        Assert.Equal(outLine.GetProperty("request").GetProperty("id").GetString(), inLine.GetProperty("request").GetProperty("id").GetString());
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 2)] // the tunnel itself is counted, too
    public async Task Uses_one_connection_between_proxies_for_many_requests_of_many_clients(bool tunnel, int expected)
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await ProxyWorld.OutboundAsync(
            [orders.Inbound], orders.Authority, change: config => config with { Timeouts = new ProxyTimeouts { UpstreamIdle = TimeSpan.FromMinutes(5) }, Tls = new() { Tunnel = tunnel } });
        for (var i = 0; i < 10; i++)
        {
            await using (var client = await Wire.PlainAsync(web.Outbound))
            {
                await client.AskAsync(Get);
            }

            await Eventually.IsTrueAsync(() => web.Proxy.Connections.Count == 0, "the connection to orders is unused again");
        }

        Assert.Equal(expected, orders.Proxy.Connections.Count);
    }

    [Theory]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Http2)]
    public async Task A_kept_connection_serves_only_under_the_identity_and_the_policies_that_it_was_made_under(AppProtocol protocol)
    {
        await using var app = await KestrelApp.StartAsync(protocol == AppProtocol.Http ? Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1 : Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, protocol, change: config => config with { Tls = new() { Tunnel = false } });
        await using var client = await Wire.PlainAsync(web.Outbound);
        async Task<(string? Serial, int Port)> AskAsync()
        {
            var before = orders.Log().Count;
            Assert.Equal(200, (await client.AskAsync("POST /x?length HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n")).Status);
            await Eventually.IsTrueAsync(() => orders.Log().Count > before, "a line");
            var source = orders.Log()[^1].GetProperty("source");
            return (source.GetProperty("serial").GetString(), source.GetProperty("port").GetInt32());
        }

        var first = await AskAsync();
        Assert.Equal(first, await AskAsync());

        web.Identity.Publish(orders.Authority.Context("/ns/default/sa/web"));
        var second = first;
        await Eventually.IsTrueAsync(async () => (second = await AskAsync()).Port != first.Port, "another connection");
        Assert.NotEqual(first.Serial, second.Serial);

        web.SetPolicy(ProxyWorld.Permissive);
        var third = second;
        await Eventually.IsTrueAsync(async () => (third = await AskAsync()).Port != second.Port, "another connection");
        Assert.Equal(second.Serial, third.Serial);
    }

    [Theory]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Http2)]
    public async Task A_kept_connection_serves_no_more_once_the_own_certificate_has_expired(AppProtocol protocol)
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var app = await KestrelApp.StartAsync(protocol == AppProtocol.Http ? Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1 : Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol);
        var end = time.GetUtcNow().AddMinutes(2);
        await using var web = await ProxyWorld.OutboundAsync(
            [orders.Inbound], orders.Authority, protocol, identity: orders.Authority.Context(orders.Authority.Svid("/ns/default/sa/web", end.AddHours(-1), end)), time: time);
        await using var client = await Wire.PlainAsync(web.Outbound);
        const string ask = "POST /x?length HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n";
        Assert.Equal(200, (await client.AskAsync(ask)).Status);
        time.Jump(end.AddSeconds(-1));
        Assert.Equal(200, (await client.AskAsync(ask)).Status);

        time.Jump(end.AddSeconds(1));

        Assert.Equal(503, (await client.AskAsync(ask)).Status);
        await web.RefusedAsync(RefusalReason.OwnSvidExpired);
        web.Identity.Publish(orders.Authority.Context("/ns/default/sa/web"));
        Assert.Equal(200, (await client.AskAsync(ask)).Status);
    }

    [Theory]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Tcp)]
    public async Task Sends_not_a_byte_in_clear_while_there_is_no_identity(AppProtocol protocol)
    {
        await using var server = App.Echo();
        await using var web = await ProxyWorld.OutboundAsync([server.EndPoint], new TestAuthority(Now), protocol, withoutIdentity: true);
        var answer = "";
        try
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            await client.SendAsync(Get.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal));
            answer = await client.ReadToEndAsync();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // Reset before a byte was sent: the strictest of refusals.
        }

        Assert.True(protocol == AppProtocol.Http ? answer.StartsWith("HTTP/1.1 503 ", StringComparison.Ordinal) : answer.Length == 0);
        await web.RefusedAsync(RefusalReason.WaitingForSvid);
        Assert.Equal(0, server.Count);
    }

    [Fact]
    public async Task Sends_nothing_to_a_server_that_does_not_speak_TLS()
    {
        var received = new TaskCompletionSource<string>();
        await using var server = App.Serving(async (stream, _) =>
        {
            var bytes = new byte[16 * 1024];
            var read = await stream.ReadAsync(bytes);
            await stream.WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray());
            received.SetResult(Encoding.Latin1.GetString(bytes, 0, read));
        });
        await using var web = await ProxyWorld.OutboundAsync([server.EndPoint], new TestAuthority(Now));
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(503, (await client.AskAsync(Get)).Status);
        await web.RefusedAsync(RefusalReason.HandshakeFailed);
        Assert.DoesNotContain("GET", await received.Task, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, false, true)]
    [InlineData("spiffe://example.org/ns/default/sa/orders", false, true)]
    [InlineData("spiffe://example.org/ns/default/sa/payments", false, false)]
    [InlineData("spiffe://example.org/ns/default/sa/orders", true, true)]
    [InlineData("spiffe://example.org/ns/default/sa/payments", true, false)]
    [Proves(RefusalReason.PeerIdentityUnexpected)]
    public async Task Accepts_only_the_servers_that_the_configuration_or_a_rule_names(string? accepted, bool byRule, bool isServed)
    {
        const string rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: orders, namespace: default}\nspec: {host: orders.default.svc.cluster.local, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: [\"NAME\"]}}}\n";
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await ProxyWorld.OutboundAsync(
            [orders.Inbound], orders.Authority, policy: byRule ? rule.Replace("NAME", accepted, StringComparison.Ordinal) : "", serverIdentities: accepted is null || byRule ? null : [accepted]);
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(isServed ? 200 : 503, (await client.AskAsync(Get)).Status);
        if (!isServed)
        {
            await web.RefusedAsync(RefusalReason.PeerIdentityUnexpected);
            Assert.Empty(app.Heads);
        }
    }

    [Fact]
    public async Task Accepts_no_server_of_another_trust_domain_unless_it_is_named()
    {
        var (ours, theirs) = (new TestAuthority(Now), new TestAuthority(Now, "elsewhere.example"));
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, authority: theirs, identity: theirs.Context(theirs.Svid("/ns/default/sa/orders"), ours));
        var identity = ours.Context(ours.Svid("/ns/default/sa/web"), theirs);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], ours, identity: identity);
        await using var named = await ProxyWorld.OutboundAsync([orders.Inbound], ours, identity: identity, serverIdentities: ["spiffe://elsewhere.example/ns/default/sa/orders"]);
        await using var client = await Wire.PlainAsync(web.Outbound);
        await using var namedClient = await Wire.PlainAsync(named.Outbound);

        Assert.Equal((503, 200), ((await client.AskAsync(Get)).Status, (await namedClient.AskAsync(Get)).Status));
    }

    [Fact]
    public async Task Refuses_a_server_whose_certificate_another_authority_made()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], new TestAuthority(Now));
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(503, (await client.AskAsync(Get)).Status);
        await web.RefusedAsync(RefusalReason.PeerAuthorityUnknown);
        Assert.Empty(app.Heads);

        // Both sides count it, each its own part and with its own reason.
        const string failed = "signet_proxy_handshakes_total{kind=\"full\",result=\"";
        Assert.Contains($"{failed}PeerAuthorityUnknown\",side=\"client\",tls_version=\"none\"}} 1\n", await MetricsAsync(web), StringComparison.Ordinal);
        Assert.DoesNotContain("side=\"server\"", await MetricsAsync(web), StringComparison.Ordinal);
        await Eventually.IsTrueAsync(async () => (await MetricsAsync(orders)).Contains($"{failed}HandshakeFailed\",side=\"server\",tls_version=\"none\"}} 1\n", StringComparison.Ordinal), "the other side's count");

        static async Task<string> MetricsAsync(ProxyWorld world) => await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/metrics"));
    }

    [Fact]
    public async Task Sends_plaintext_only_because_a_DestinationRule_asks_for_it()
    {
        const string rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: orders, namespace: default}\nspec: {host: orders.default.svc.cluster.local, trafficPolicy: {tls: {mode: MODE}}}\n";
        await using var app = App.Http();
        await using var web = await ProxyWorld.OutboundAsync([app.EndPoint], new TestAuthority(Now), policy: rule.Replace("MODE", "SIMPLE, insecureSkipVerify: true", StringComparison.Ordinal),
            change: config => config with { Timeouts = new ProxyTimeouts { Handshake = TimeSpan.FromMilliseconds(200) } });
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(503, (await client.AskAsync(Get)).Status);
        await web.RefusedAsync(RefusalReason.HandshakeTimeout);
        Assert.Empty(app.Heads);

        web.SetPolicy(rule.Replace("MODE", "DISABLE", StringComparison.Ordinal));
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get)).Status == 200, "plaintext, because a rule asks for it");
    }

    [Fact]
    public async Task Takes_turns_among_endpoints_and_passes_over_those_that_cannot_be_reached()
    {
        await using var first = App.Http((_, _) => App.Ok("1"));
        await using var second = App.Http((_, _) => App.Ok("2"));
        var authority = new TestAuthority(Now);
        await using var one = await ProxyWorld.InboundAsync(first.EndPoint, ProxyWorld.Strict, authority: authority);
        await using var two = await ProxyWorld.InboundAsync(second.EndPoint, ProxyWorld.Strict, authority: authority);
        using var gone = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        gone.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await using var web = await ProxyWorld.OutboundAsync(
            [gone.LocalEndPoint!, one.Inbound, two.Inbound], authority, change: config => config with { Limits = new ProxyLimits { IdleUpstreams = 0 } });
        var answers = new List<string>();
        for (var i = 0; i < 9; i++)
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            answers.Add((await client.AskAsync(Get)).Body);
        }

        Assert.Equal(9, answers.Count(answer => answer is "1" or "2"));
        Assert.True(answers.Distinct().Count() == 2, string.Join(' ', answers));
    }

    [Fact]
    public async Task Loses_no_request_while_both_sides_identities_rotate_again_and_again()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority);
        using var stop = new CancellationTokenSource();
        var served = 0;
        var loops = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await using var client = await Wire.PlainAsync(web.Outbound);
                for (var i = 0; i < 5; i++)
                {
                    Assert.Equal(200, (await client.AskAsync(i % 2 == 0 ? Get : "POST /b HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\nhi")).Status);
                    Interlocked.Increment(ref served);
                }
            }
        })).ToArray();

        var serials = new HashSet<string>();
        for (var rotation = 0; rotation < 20; rotation++)
        {
            var before = Volatile.Read(ref served);
            var (next, other) = (orders.Authority.Svid("/ns/default/sa/web"), orders.Authority.Svid("/ns/default/sa/orders"));
            serials.Add(next.Leaf.SerialHex);
            web.Identity.Publish(orders.Authority.Context(next));
            orders.Identity.Publish(orders.Authority.Context(other));
            await Eventually.IsTrueAsync(() => loops.Any(loop => loop.IsFaulted) || Volatile.Read(ref served) > before + 20, "requests go on");
        }

        await stop.CancelAsync();
        await Task.WhenAll(loops);
        Assert.Equal(20, (await web.AdminAsync("/certs")).GetProperty("rotations").GetInt64());
        var seen = orders.Log().Select(line => line.GetProperty("source").GetProperty("serial").GetString()).ToHashSet();
        Assert.True(serials.Count(seen.Contains) >= 19, "the new certificates were used");
        Assert.DoesNotContain(orders.Log(), line => ProxyWorld.Flag(line) is not null);
    }

    [Fact]
    public async Task Moves_a_hundred_megabytes_each_way_unharmed()
    {
        const int length = 100_000_000;
        using var received = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using var app = App.Serving(async (stream, _) =>
        {
            var reader = new App.ByteReader(stream);
            await reader.HeadAsync();
            await reader.CopyAsync(new Hashing(received), length);
            await stream.WriteAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            await SendPatternAsync(stream, length);
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority);
        await using var client = await Wire.PlainAsync(web.Outbound);

        await client.SendAsync($"POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: {length}\r\n\r\n");
        await SendPatternAsync(client.Stream, length);
        await client.ReadUntilAsync("\r\n\r\n");
        using var sent = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var rest = await client.ReadExactlyAsync(new Hashing(sent), length);

        Assert.Equal(length, rest);
        using var pattern = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await SendPatternAsync(new Hashing(pattern), length);
        var expected = Convert.ToHexString(pattern.GetHashAndReset());
        Assert.Equal((expected, expected), (Convert.ToHexString(received.GetHashAndReset()), Convert.ToHexString(sent.GetHashAndReset())));
    }

    private static async Task SendPatternAsync(Stream to, long length)
    {
        var block = new byte[65_521];
        for (long sent = 0; sent < length; sent += block.Length)
        {
            for (var i = 0; i < block.Length; i += 97)
            {
                block[i] = (byte)(sent + i);
            }

            await to.WriteAsync(block.AsMemory(0, (int)Math.Min(block.Length, length - sent)));
        }
    }

    private sealed class Hashing(IncrementalHash hash) : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            hash.AppendData(buffer.Span);
            return ValueTask.CompletedTask;
        }
    }
}
