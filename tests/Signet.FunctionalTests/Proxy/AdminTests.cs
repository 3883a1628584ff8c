using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

public sealed class AdminTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";

    private const string DenyPost = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-post, namespace: default}
        spec: {action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}
        """;

    private const string AllowWeb = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: web-only, namespace: default}
        spec: {action: ALLOW, rules: [{from: [{source: {principals: ["example.org/ns/default/sa/web"]}}]}]}
        """;

    [Fact]
    public async Task Shows_certificates_policies_connections_and_counters()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await client.AskAsync(Get);

        var certs = await world.AdminAsync("/certs");
        var chain = certs.GetProperty("svids")[0].GetProperty("chain");
        Assert.Equal("files", certs.GetProperty("source").GetString());
        Assert.Equal(["spiffe://example.org/ns/default/sa/orders", "spiffe://example.org"], chain.EnumerateArray().Select(one => one.GetProperty("spiffeId").GetString()));
        Assert.Equal(world.Identity.Current!.Default.Leaf.SerialHex, chain[0].GetProperty("serial").GetString());
        Assert.Equal("example.org", certs.GetProperty("bundles")[0].GetProperty("trustDomain").GetString());

        var config = await world.AdminAsync("/config");
        var port = config.GetProperty("inbound")[0];
        Assert.Equal(("STRICT", "istio-system/mesh"), (port.GetProperty("mtls").GetProperty("mode").GetString(), port.GetProperty("mtls").GetProperty("from").GetString()));
        Assert.Equal(("5s", "json"), (config.GetProperty("timeouts").GetProperty("detection").GetString(), config.GetProperty("accessLog").GetProperty("format").GetString()));

        var connection = (await world.AdminAsync("/connections")).GetProperty("connections")[0];
        Assert.Equal("spiffe://example.org/ns/default/sa/web", connection.GetProperty("peer").GetString());
        Assert.Equal(("TLSv1.3", JsonValueKind.Null), (connection.GetProperty("tls").GetProperty("version").GetString(), connection.GetProperty("tunnel").ValueKind));
        Assert.Equal(5, connection.GetProperty("bytesOut").GetInt64());
        Assert.Equal(1, (await world.AdminAsync("/listeners")).GetProperty("listeners")[0].GetProperty("connections").GetInt32());
        var stats = await world.AdminAsync("/stats");
        Assert.Equal((1, 1), (stats.GetProperty("connections").GetInt32(), stats.GetProperty("requests").GetInt32()));

        var upstream = (await world.AdminAsync("/upstreams")).GetProperty("upstreams")[0];
        Assert.Equal(("application", app.EndPoint.ToString()), (upstream.GetProperty("kind").GetString(), upstream.GetProperty("endpoints")[0].GetProperty("address").GetString()));
        Assert.Equal((1, 1), (upstream.GetProperty("clients").GetInt32(), upstream.GetProperty("keptConnections").GetInt32()));
    }

    [Fact]
    public async Task Counts_who_asked_whom_and_how_it_ended()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict + "---\n" + DenyPost);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await client.AskAsync(Get);
        await client.AskAsync("POST /a HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n");
        await Record.ExceptionAsync(async () => await (await Wire.TlsAsync(world.Inbound, svid: null)).DisposeAsync());
        await world.RefusedAsync(RefusalReason.PeerCertificateMissing);

        var metrics = await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/metrics"));

        const string ends = "destination_port=\"8080\",destination_principal=\"spiffe://example.org/ns/default/sa/orders\",destination_service=\"\",direction=\"inbound\"";
        const string rest = "protocol=\"http\",source_principal=\"spiffe://example.org/ns/default/sa/web\"";
        Assert.Contains($"signet_proxy_requests_total{{code=\"200\",{ends},grpc_status=\"\",policy=\"none\",{rest},tls_session=\"full\",tls_version=\"TLSv1.3\",verdict=\"allow\"}} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains($"signet_proxy_requests_total{{code=\"403\",{ends},grpc_status=\"\",policy=\"default/no-post\",{rest},tls_session=\"full\",tls_version=\"TLSv1.3\",verdict=\"deny\"}} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains($"signet_proxy_request_duration_seconds_count{{code=\"2xx\",{ends},{rest}}} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains($"signet_proxy_bytes_total{{{ends},{rest},way=\"sent\"}} 5\n", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_bundle_expiry_timestamp_seconds{trust_domain=\"example.org\"}", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_handshakes_total{kind=\"full\",result=\"ok\",side=\"server\",tls_version=\"TLSv1.3\"}", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_handshakes_total{kind=\"full\",result=\"PeerCertificateMissing\",side=\"server\",tls_version=\"none\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains($"signet_proxy_certificate_expiry_timestamp_seconds {world.Identity.Current!.Default.NotAfter.ToUnixTimeSeconds()}\n", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_connections_live{direction=\"inbound\",protocol=\"http\",state=\"idle\"}", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_connections_opened_total{direction=\"inbound\",listener=\"inbound-8080\"} 2\n", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_refusals_total{direction=\"inbound\",reason=\"PeerCertificateMissing\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_refusals_total{direction=\"inbound\",reason=\"PolicyDenied\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("signet_proxy_policy_denials_total{direction=\"inbound\",policy=\"default/no-post\",stage=\"deny\"} 1\n", metrics, StringComparison.Ordinal);
        await ShowsAsync(world, "signet_proxy_connections_closed_total{direction=\"inbound\",listener=\"inbound-8080\",reason=\"PeerCertificateMissing\"} 1\n");
    }

    [Fact]
    public async Task Says_whom_which_policy_let_in_since_when_and_until_when()
    {
        var began = DateTimeOffset.UtcNow;
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict + "---\n" + AllowWeb);
        var svid = world.Authority.Svid("/ns/default/sa/web");
        await using var client = await Wire.TlsAsync(world.Inbound, svid);
        await client.AskAsync("POST /a HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\n\r\nabc");
        await using var other = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/other"));
        Assert.Equal(403, (await other.AskAsync(Get)).Status);
        JsonElement page = default;
        await Eventually.IsTrueAsync(async () => (page = await world.AdminAsync("/connections?policy=default/web-only&state=idle")).GetProperty("total").GetInt32() == 1, "an idle connection that the policy let in");

        var connection = page.GetProperty("connections")[0];
        Assert.Equal(("default/web-only", svid.Leaf.SerialHex, true), (connection.GetProperty("policy").GetString(), connection.GetProperty("peerSerial").GetString(), connection.GetProperty("idle").GetBoolean()));
        Assert.Equal(Seconds(svid.NotAfter), connection.GetProperty("peerExpires").GetDateTimeOffset());
        Assert.InRange(connection.GetProperty("opened").GetDateTimeOffset(), Seconds(began), DateTimeOffset.UtcNow);
        Assert.InRange(connection.GetProperty("ageSeconds").GetDouble(), 0, (DateTimeOffset.UtcNow - began).TotalSeconds);
        Assert.Equal((3, 5), (connection.GetProperty("bytesIn").GetInt64(), connection.GetProperty("bytesOut").GetInt64()));
        JsonElement stats = default;
        await Eventually.IsTrueAsync(async () => (stats = await world.AdminAsync("/stats")).GetProperty("requests").GetInt32() == 2, "both requests");
        Assert.Equal((1, 3, false), (stats.GetProperty("denied").GetInt32(), stats.GetProperty("bytesIn").GetInt32(), stats.GetProperty("draining").GetBoolean()));
        var listener = (await world.AdminAsync("/listeners")).GetProperty("listeners")[0];
        Assert.Equal((world.Inbound.ToString(), "inbound", true), (listener.GetProperty("address").GetString(), listener.GetProperty("direction").GetString(), listener.GetProperty("accepting").GetBoolean()));
    }

    [Fact]
    public async Task Shows_the_identity_of_this_moment_and_what_is_wrong_with_the_policies()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await ShowsAsync(world, "signet_proxy_policy_current 1\n");
        await ShowsAsync(world, "signet_proxy_policy_revision 0\n");
        var before = (await world.AdminAsync("/certs")).GetProperty("rotations").GetInt64();
        var svid = world.Authority.Svid("/ns/default/sa/orders", notAfter: DateTimeOffset.UtcNow.AddMinutes(30), dnsNames: ["orders.example.org", "orders"]);

        world.Identity.Publish(world.Authority.Context(svid));

        JsonElement certs = default;
        await Eventually.IsTrueAsync(async () => (certs = await world.AdminAsync("/certs")).GetProperty("rotations").GetInt64() == before + 1, "the new identity");
        var leaf = certs.GetProperty("svids")[0].GetProperty("chain")[0];
        Assert.Equal(("unused", svid.Leaf.SerialHex, svid.Leaf.Fingerprint), (certs.GetProperty("origin").GetString(), leaf.GetProperty("serial").GetString(), leaf.GetProperty("sha256").GetString()));
        Assert.Equal([svid.Id.Uri], leaf.GetProperty("uris").EnumerateArray().Select(name => name.GetString()));
        Assert.Equal(["orders.example.org", "orders"], leaf.GetProperty("dnsNames").EnumerateArray().Select(name => name.GetString()));
        Assert.Equal(Seconds(svid.NotAfter), leaf.GetProperty("notAfter").GetDateTimeOffset());
        Assert.InRange(leaf.GetProperty("secondsLeft").GetInt64(), 1, 30 * 60);
        await ShowsAsync(world, $"signet_proxy_rotations_total {before + 1}\n");
        await ShowsAsync(world, $"signet_proxy_certificate_expiry_timestamp_seconds {svid.NotAfter.ToUnixTimeSeconds()}\n");

        // A file that cannot be understood is in force, and denies; without the folder what was read last is.
        world.SetPolicy("kind: [broken");
        await Eventually.IsTrueAsync(async () => (await PolicyAsync()).GetProperty("problems").ToString().Contains("policy.yaml", StringComparison.Ordinal), "the file's problem");
        Assert.Equal("in force", (await PolicyAsync()).GetProperty("newest").GetString());
        world.RemovePolicyFolder();
        await ShowsAsync(world, "signet_proxy_policy_current 0\n");
        Assert.Contains("cannot be read", (await PolicyAsync()).GetProperty("newest").GetString(), StringComparison.Ordinal);

        async Task<JsonElement> PolicyAsync() => (await world.AdminAsync("/config")).GetProperty("policy");
    }

    [Fact]
    public async Task Lists_its_pages_and_no_page_ever_has_a_key()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await client.AskAsync(Get);
        var key = world.Identity.Current!.Default.ExportKeyPkcs8();

        var index = await TextAsync(world, "/");
        var pages = index.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line.StartsWith("GET ", StringComparison.Ordinal)).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]).ToList();

        Assert.Equal(["/certs", "/config", "/connections", "/listeners", "/live", "/logging", "/metrics", "/ready", "/stats", "/upstreams", "/watch"], pages.Order(StringComparer.Ordinal));
        Assert.Contains("POST /drain", index, StringComparison.Ordinal);
        using var watched = await WatchAsync(world, "");
        await client.AskAsync(Get);
        foreach (var text in await Task.WhenAll(pages.Where(page => page != "/watch").Select(page => TextAsync(world, page)).Append(LineAsync(watched)).Append(Task.FromResult(index))))
        {
            Assert.NotEmpty(text);
            Assert.DoesNotContain("PRIVATE KEY", text, StringComparison.Ordinal);
            Assert.DoesNotContain(Convert.ToBase64String(key)[40..80], text, StringComparison.Ordinal);
            Assert.DoesNotContain(Convert.ToHexStringLower(key)[80..120], text, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public async Task Filters_sorts_and_bounds_connections()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await web.AskAsync(Get);
        await using var other = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/other"));
        await other.AskAsync(Get);
        await other.AskAsync(Get);

        Assert.Equal(["web", "other"], await PeersAsync(world, ""));
        Assert.Equal(["other", "web"], await PeersAsync(world, "?sort=age"));
        Assert.Equal(["other", "web"], await PeersAsync(world, "?sort=bytes"));
        Assert.Equal(["other", "web"], await PeersAsync(world, "?sort=peer"));
        Assert.Equal(["web"], await PeersAsync(world, "?limit=1"));
        Assert.Equal(["web"], await PeersAsync(world, "?peer=spiffe://example.org/ns/default/sa/web&direction=inbound&listener=inbound-8080"));
        Assert.Equal(["web", "other"], await PeersAsync(world, "?peer=example.org/ns/default/*&state=idle&protocol=http"));
        Assert.Equal([], await PeersAsync(world, "?direction=outbound"));
        Assert.Equal(2, (await world.AdminAsync("/connections?limit=1")).GetProperty("total").GetInt32());
        foreach (var wrong in new[] { "?pear=x", "?limit=0", "?limit=99999999999", "?sort=size", "?direction=up", "?state=asleep" })
        {
            using var answer = await world.Admin.GetAsync(Uri(world, "/connections" + wrong));
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Knows_connections_in_a_tunnel_and_the_tunnel_itself()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);
        await client.SendAsync("x\n");
        await client.ReadUntilAsync("x\n");

        var all = (await orders.AdminAsync("/connections")).GetProperty("connections").EnumerateArray().ToList();
        var tunnel = Assert.Single(all, live => live.GetProperty("protocol").GetString() == "tunnel");
        var inside = Assert.Single(all, live => live.GetProperty("tunnel").ValueKind == JsonValueKind.Number);

        Assert.Equal(tunnel.GetProperty("id").GetInt64(), inside.GetProperty("tunnel").GetInt64());
        Assert.Equal(("spiffe://example.org/ns/default/sa/web", "signet-tunnel"), (inside.GetProperty("peer").GetString(), inside.GetProperty("tls").GetProperty("alpn").GetString()));
        var upstreams = await web.AdminAsync("/upstreams");
        Assert.Equal((1, 1), (upstreams.GetProperty("tunnels").GetInt32(), upstreams.GetProperty("upstreams")[0].GetProperty("clients").GetInt32()));
        Assert.Equal("ISTIO_MUTUAL", upstreams.GetProperty("upstreams")[0].GetProperty("tls").GetProperty("mode").GetString());
    }

    [Fact]
    public async Task Shows_what_happens_to_those_who_watch_for_it()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict + "---\n" + DenyPost);
        using var all = await WatchAsync(world, "");
        using var denied = await WatchAsync(world, "?verdict=deny&count=1&source=example.org/ns/default/*&path=/a");
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await client.AskAsync(Get);
        await client.AskAsync("POST /a HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n");

        Assert.Equal("GET", JsonNode.Parse(await LineAsync(all))!["request"]!["method"]!.ToString());
        Assert.Equal("POST", JsonNode.Parse(await LineAsync(all))!["request"]!["method"]!.ToString());
        var line = JsonNode.Parse(await LineAsync(denied))!;
        Assert.Equal(("default/no-post", "PolicyDenied"), (line["policy"]!.ToString(), line["response"]!["flag"]!.ToString()));
        Assert.Null(await denied.ReadLineAsync());
        foreach (var wrong in new[] { "?verdict=no", "?count=0", "?count=x", "?colour=red" })
        {
            using var answer = await world.Admin.GetAsync(Uri(world, "/watch" + wrong));
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Neither_waits_for_a_slow_watcher_nor_forgets_to_say_what_it_missed()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        using var slow = await WatchAsync(world, "", receiveBuffer: 4096);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        var request = $"GET /{new string('a', 1900)} HTTP/1.1\r\nHost: orders\r\n\r\n";

        // As many as fit nowhere: neither in the queue nor in the sockets of a reader that does not read.
        const int Sent = 6000;
        for (var i = 0; i < Sent; i++)
        {
            Assert.Equal(200, (await client.AskAsync(request)).Status);
        }

        var (seen, dropped) = (0L, 0L);
        while (dropped == 0)
        {
            var line = JsonNode.Parse(await LineAsync(slow))!;
            dropped += line["dropped"]?.GetValue<long>() ?? 0;
            seen += line["dropped"] is null ? 1 : 0;
        }

        Assert.InRange(dropped, 1, Sent - seen);
    }

    [Fact]
    public async Task Lets_eight_watch_and_ends_them_when_it_stops()
    {
        await using var app = App.Http();
        var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        var watchers = new List<StreamReader>();
        for (var i = 0; i < 8; i++)
        {
            watchers.Add(await WatchAsync(world, ""));
        }

        using (var answer = await world.Admin.GetAsync(Uri(world, "/watch")))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        }

        watchers[0].Dispose();
        await Eventually.IsTrueAsync(
            async () =>
            {
                using var head = await world.Admin.SendAsync(new HttpRequestMessage(HttpMethod.Head, Uri(world, "/watch")));
                return head.StatusCode == HttpStatusCode.OK;
            },
            "the place of one who left");
        await world.DisposeAsync();

        foreach (var watcher in watchers.Skip(1))
        {
            Assert.Null(await watcher.ReadLineAsync());
            watcher.Dispose();
        }
    }

    [Fact]
    public async Task Changes_the_log_level_until_it_is_taken_back_or_its_time_is_over()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        Assert.Equal(("info", "false"), await LevelAsync(world.AdminAsync("/logging")));

        Assert.Equal(("debug", "true"), await LevelAsync(PostAsync(world, """{"level": "debug"}""")));
        Assert.Equal(("trace", "true"), await LevelAsync(PostAsync(world, """{"level": "trace", "for": "10m"}""")));
        Assert.Equal(("trace", "true"), await LevelAsync(world.AdminAsync("/logging")));
        Assert.Equal(("info", "false"), await LevelAsync(PostAsync(world, """{"level": null}""")));

        foreach (var wrong in new[] { "", "[]", "{}", """{"level": "loud"}""", """{"level": 1}""", """{"level": "debug", "for": "0s"}""", """{"level": "debug", "for": "soon"}""", """{"level": "debug", "for": "365d"}""", """{"level": "debug", "until": "1m"}""" })
        {
            using var answer = await world.Admin.PostAsync(Uri(world, "/logging"), new StringContent(wrong, Encoding.UTF8, "application/json"));
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }

        async Task<(string?, string)> LevelAsync(Task<JsonElement> page)
        {
            var levels = await page;
            return (levels.GetProperty("level").GetString(), levels.GetProperty("changed").GetRawText());
        }
    }

    private static async Task<JsonElement> PostAsync(ProxyWorld world, string body)
    {
        using var answer = await world.Admin.PostAsync(Uri(world, "/logging"), new StringContent(body, Encoding.UTF8, "application/json"));
        return JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
    }

    private static async Task<IEnumerable<string>> PeersAsync(ProxyWorld world, string query) =>
        (await world.AdminAsync("/connections" + query)).GetProperty("connections").EnumerateArray().Select(live => live.GetProperty("peer").GetString()!.Split('/')[^1]);

    /// <summary>Waits for what the metrics say.</summary>
    private static Task ShowsAsync(ProxyWorld world, string line) => Eventually.IsTrueAsync(async () => ("\n" + await TextAsync(world, "/metrics")).Contains("\n" + line, StringComparison.Ordinal), line);

    /// <summary>As pages write times.</summary>
    private static DateTimeOffset Seconds(DateTimeOffset time) => DateTimeOffset.FromUnixTimeSeconds(time.ToUnixTimeSeconds());

    private static Task<string> TextAsync(ProxyWorld world, string path) => world.Admin.GetStringAsync(Uri(world, path));

    private static Uri Uri(ProxyWorld world, string path) => new($"http://{world.Proxy.AdminEndPoint}{path}");

    private static async Task<string> LineAsync(StreamReader reader) => await reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30)) ?? throw new IOException("the watch has ended");

    /// <summary>Watches over a connection of its own, once the answer's head has come: from then on nothing is missed.</summary>
    private static async Task<StreamReader> WatchAsync(ProxyWorld world, string query, int receiveBuffer = 0)
    {
        var http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                if (receiveBuffer > 0)
                {
                    socket.ReceiveBufferSize = receiveBuffer;
                }

                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        var answer = await http.GetAsync(Uri(world, "/watch" + query), HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal((HttpStatusCode.OK, "application/x-ndjson"), (answer.StatusCode, answer.Content.Headers.ContentType?.ToString()));
        return new StreamReader(await answer.Content.ReadAsStreamAsync());
    }
}
