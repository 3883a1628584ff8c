using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Rpc.Wire.Envoy.Auth;
using Signet.Testing;
using static Signet.FunctionalTests.Proxy.AuthoriserServer;

namespace Signet.FunctionalTests.Proxy;

/// <summary>CUSTOM policies: who is asked, what it is told, and what its answer does.</summary>
public sealed class AuthoriserTests
{
    private const string Get = "GET /ask/me HTTP/1.1\r\nHost: orders\r\nX-A: 1\r\nx-a: 2\r\nx-secret: s\r\n\r\n";

    private const string AskAboutAsk = ProxyWorld.Permissive + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: ask, namespace: default}
        spec:
          action: CUSTOM
          provider: {name: authz}
          rules:
          - to: [{operation: {paths: ["/ask/*"]}}]
        """;

    private static string Grpc(EndPoint at, string more = "") => $"extensionProviders: [{{name: authz, envoyExtAuthzGrpc: {{service: 127.0.0.1, port: {((IPEndPoint)at).Port}{more}}}}}]";

    private static string Http(EndPoint at, string more = "") => $"extensionProviders: [{{name: authz, envoyExtAuthzHttp: {{service: 127.0.0.1, port: {((IPEndPoint)at).Port}{more}}}}}]";

    [Fact]
    public async Task A_gRPC_authoriser_that_allows_lets_pass_and_changes_the_fields_it_may()
    {
        await using var app = App.Http();
        await using var authoriser = await StartAsync(_ =>
        {
            var ok = Allow(Header("X-User", "alice"), Header("x-a", "3"));
            ok.OkResponse.HeadersToRemove.Add(["X-Secret", "host"]);
            ok.OkResponse.ResponseHeadersToAdd.Add(Header("set-cookie", "session=1"));
            return ok;
        });
        await using var mesh = new Mesh(Grpc(authoriser.EndPoint));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));

        var response = await web.AskAsync("GET /x/../ask/%6de?q=1 HTTP/1.1\r\nHost: orders:1\r\nX-A: 1\r\nx-a: 2\r\nx-secret: s\r\n\r\n");

        Assert.Equal((200, "session=1"), (response.Status, App.Field(response.Head, "set-cookie")));
        var head = Assert.Single(app.Heads);
        Assert.Equal(("alice", "3", "", "orders:1"), (App.Field(head, "x-user"), App.Field(head, "x-a"), App.Field(head, "x-secret"), App.Field(head, "host")));
        var question = Assert.Single(authoriser.Questions);
        var http = question.Request.Http;
        Assert.Equal(("GET", "/ask/me?q=1", "orders:1", "1,2", 0), (http.Method, http.Path, http.Host, http.Headers["x-a"], http.Size));
        Assert.Equal(("spiffe://example.org/ns/default/sa/web", "spiffe://example.org/ns/default/sa/orders"), (question.Source.Principal, question.Destination.Principal));
        Assert.Equal("127.0.0.1", question.Source.Address.SocketAddress.Address);
    }

    [Theory]
    [InlineData("1.1", "HTTP/1.1")]
    [InlineData("2.0", "HTTP/2")]
    public async Task An_authoriser_is_told_in_which_version_of_HTTP_the_client_asks(string version, string told)
    {
        await using var app = await KestrelApp.StartAsync(Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1);
        await using var authoriser = await StartAsync(_ => Allow());
        await using var mesh = new Mesh(Grpc(authoriser.EndPoint));
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, version == "2.0" ? AppProtocol.Http2 : AppProtocol.Http);
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{web.Outbound}/ask/me") { Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var response = await http.SendAsync(request);
        Assert.Equal(200, (int)response.StatusCode);
        Assert.Equal(told, Assert.Single(authoriser.Questions).Request.Http.Protocol);
    }

    [Fact]
    public async Task A_gRPC_authoriser_that_denies_has_the_last_word_but_not_every_word()
    {
        await using var app = App.Http();
        await using var authoriser = await StartAsync(_ => Deny(
            429, "slow down", Header("retry-after", "7"), Header("content-length", "1"), Header("x-forwarded-client-cert", "By=me"), Header("x-bad", "a\r\nb: c"), Header("content-type", "text/plain")));
        await using var mesh = new Mesh(Grpc(authoriser.EndPoint));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);

        var denied = await client.AskAsync(Get);
        var notAsked = await client.AskAsync("GET /other HTTP/1.1\r\nHost: orders\r\n\r\n");

        Assert.Equal((429, "slow down", "7", "text/plain"), (denied.Status, denied.Body, App.Field(denied.Head, "retry-after"), App.Field(denied.Head, "content-type")));
        Assert.Equal(("9", "", ""), (App.Field(denied.Head, "content-length"), App.Field(denied.Head, "x-forwarded-client-cert"), App.Field(denied.Head, "x-bad")));
        Assert.Equal(200, notAsked.Status);
        Assert.Single(authoriser.Questions);
        Assert.Single(app.Heads);
        var line = await world.RefusedAsync(RefusalReason.PolicyDenied);
        Assert.Equal(("custom", "default/ask", 0), (line.GetProperty("stage").GetString(), line.GetProperty("policy").GetString(), line.GetProperty("rule").GetInt32()));
        Assert.Contains("not today", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 403)]
    [InlineData(200, 403)]
    [InlineData(304, 403)]
    [InlineData(302, 302)]
    [InlineData(503, 503)]
    public async Task A_denied_request_is_never_answered_as_if_it_had_passed(int asked, int got)
    {
        await using var app = App.Http();
        await using var authoriser = await StartAsync(_ => Deny(asked));
        await using var mesh = new Mesh(Grpc(authoriser.EndPoint));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(got, (await client.AskAsync(Get)).Status);
        Assert.Empty(app.Heads);
    }

    [Theory]
    [InlineData("host", "evil")]
    [InlineData("X_Forwarded_Client_Cert", "By=spiffe://x")]
    [InlineData(":path", "/admin")]
    [InlineData("x-bad", "a\nb")]
    public async Task An_authoriser_that_sets_what_is_not_its_to_set_is_taken_for_a_denial_even_if_it_fails_open(string name, string value)
    {
        await using var app = App.Http();
        await using var authoriser = await StartAsync(_ => Allow(Header(name, value)));
        await using var mesh = new Mesh(Grpc(authoriser.EndPoint, ", failOpen: true"));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(403, (await client.AskAsync(Get)).Status);
        Assert.Empty(app.Heads);
    }

    public static TheoryData<string, bool, string> Failures { get; } = new()
    {
        { "silent", true, "nothing within" }, { "silent", false, "nothing within" },
        { "down", true, "Unavailable" }, { "down", false, "refused" },
        { "garbage", true, "" }, { "garbage", false, "" },
        { "5xx", false, "503" }, { "no status", true, "no status" }, { "huge", true, "ResourceExhausted" },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Without_an_answer_a_request_is_denied_unless_the_provider_fails_open(string failure, bool grpc, string reason)
    {
        await using var app = App.Http();
        await using var silent = App.Serving(async (stream, _) => await stream.CopyToAsync(Stream.Null));
        await using var garbage = App.Serving(async (stream, _) => await stream.WriteAsync(Encoding.Latin1.GetBytes(new string('\u00e9', 4000))));
        await using var failing = App.Http((_, _) => "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n");
        await using var odd = await StartAsync(_ => failure == "huge" ? Deny(429, new string('x', 1 << 20)) : new CheckResponse { OkResponse = new OkHttpResponse() });
        EndPoint at = failure switch
        {
            "silent" => silent.EndPoint,
            "garbage" => garbage.EndPoint,
            "5xx" => failing.EndPoint,
            "down" => Nobody(),
            _ => odd.EndPoint,
        };
        foreach (var failOpen in new[] { false, true })
        {
            var more = $", timeout: {(failure == "silent" ? "0.3s" : "20s")}, statusOnError: \"503\", failOpen: {(failOpen ? "true" : "false")}";
            await using var mesh = new Mesh(grpc ? Grpc(at, more) : Http(at, more));
            await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
            await using var client = await Wire.PlainAsync(world.Inbound);

            Assert.Equal(failOpen ? 200 : 503, (await client.AskAsync(Get)).Status);

            var line = await world.LoggedAsync(line => line.TryGetProperty("request", out _), "the request's line");
            Assert.Equal(failOpen ? "allow" : "deny", line.GetProperty("verdict").GetString());
            Assert.Contains("gave no answer", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
            Assert.Contains(reason, line.GetProperty("reason").GetString(), StringComparison.Ordinal);
            var metrics = await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/metrics"));
            Assert.Matches("signet_proxy_authoriser_checks_total\\{[^}]*provider=\"authz\"[^}]*result=\"(TimedOut|Failed)\"[^}]*\\} 1", metrics);
        }

        Assert.Single(app.Heads);
    }

    [Theory]
    [InlineData("service: authz.prod.svc.cluster.local, port: 9000", "neither an outbound service")]
    [InlineData("service: 192.0.2.1, port: 9000", "neither an outbound service")]
    [InlineData("service: plain.default.svc.cluster.local, port: 9000", "default/plain asks for plaintext")]
    public async Task Nobody_is_asked_where_somebody_else_could_answer_even_if_the_provider_fails_open(string where, string reason)
    {
        const string plain = "\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: plain, namespace: default}\nspec: {host: plain.default.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}\n";
        await using var app = App.Http();
        await using var mesh = new Mesh($"extensionProviders: [{{name: authz, envoyExtAuthzGrpc: {{{where}, failOpen: true}}}}]");
        var service = new OutboundConfig("outbound-plain", new IPEndPoint(IPAddress.Loopback, 0), "plain.default.svc.cluster.local", 9000, AppProtocol.Tcp, [new IPEndPoint(IPAddress.Parse("192.0.2.1"), 9)], new HashSet<Signet.Identity.Spiffe.SpiffeId>());
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk + plain, change: config => mesh.Configure(config) with { Outbound = [service] });
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(403, (await client.AskAsync(Get)).Status);

        Assert.Empty(app.Heads);
        Assert.Contains(reason, (await world.RefusedAsync(RefusalReason.PolicyDenied)).GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_authoriser_that_is_a_service_of_the_mesh_is_reached_by_mutual_TLS_only(bool isWhoItShouldBe)
    {
        await using var app = App.Http();
        await using var authoriser = await StartAsync(_ => Allow());
        await using var beside = await ProxyWorld.InboundAsync(authoriser.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var mesh = new Mesh("extensionProviders: [{name: authz, envoyExtAuthzGrpc: {service: security/authz.default.svc.cluster.local, port: 9000, timeout: 20s}}]");
        var identity = isWhoItShouldBe ? "spiffe://example.org/ns/default/sa/orders" : "spiffe://example.org/ns/default/sa/authz";
        var service = new OutboundConfig(
            "outbound-authz", new IPEndPoint(IPAddress.Loopback, 0), "authz.default.svc.cluster.local", 9000, AppProtocol.Tcp, [beside.Inbound],
            new HashSet<Signet.Identity.Spiffe.SpiffeId> { Signet.Identity.Spiffe.SpiffeId.Parse(identity) });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, authority: beside.Authority, change: config => mesh.Configure(config) with { Outbound = [service] });
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(isWhoItShouldBe ? 200 : 403, (await client.AskAsync(Get)).Status);

        Assert.Equal(isWhoItShouldBe ? 1 : 0, authoriser.Questions.Count);
        if (!isWhoItShouldBe)
        {
            Assert.Contains("PeerIdentityUnexpected", (await world.RefusedAsync(RefusalReason.PolicyDenied)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_TCP_connection_is_asked_about_once(bool allowed)
    {
        const string askAlways = ProxyWorld.Permissive + "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ask, namespace: default}\nspec: {action: CUSTOM, provider: {name: authz}, rules: [{}]}\n";
        await using var app = App.Echo();
        await using var authoriser = await StartAsync(_ => allowed ? Allow() : Deny());
        await using var mesh = new Mesh(Grpc(authoriser.EndPoint));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, askAlways, AppProtocol.Tcp, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.SendAsync("hello");

        if (allowed)
        {
            await client.ReadUntilAsync("hello");
        }
        else
        {
            Assert.Equal("", await client.ReadToEndAsync());
            await world.RefusedAsync(RefusalReason.PolicyDenied);
        }

        Assert.Equal(allowed ? 1 : 0, app.Count);
        Assert.Null(Assert.Single(authoriser.Questions).Request.Http);
    }

    [Fact]
    public async Task An_HTTP_authoriser_that_allows_gets_and_gives_the_fields_that_are_listed()
    {
        await using var app = App.Http();
        await using var authoriser = App.Http((_, _) => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-User: alice\r\nx-other: 1\r\nX-Down: d\r\nx-request-id: forged\r\nx-envoy-auth-headers-to-remove: x-secret, host\r\n\r\n");
        await using var mesh = new Mesh(Http(
            authoriser.EndPoint,
            ", pathPrefix: /check/, includeRequestHeadersInCheck: [x-a, \"x-sec*\", content-type], includeAdditionalHeadersInCheck: {x-from: orders}, headersToUpstreamOnAllow: [x-user, x-request-id], headersToDownstreamOnAllow: [x-down]"));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);

        var response = await client.AskAsync("POST /ask/me?q=%2e HTTP/1.1\r\nHost: orders\r\nX-A: 1\r\nx-secret: s\r\nx-hidden: h\r\nx-from: liar\r\nContent-Type: text/a\r\nx-request-id: id-1\r\nContent-Length: 2\r\n\r\nhi");

        Assert.Equal((200, "d"), (response.Status, App.Field(response.Head, "x-down")));
        var asked = Assert.Single(authoriser.Heads);
        Assert.StartsWith("POST /check/ask/me?q=%2e HTTP/1.1\r\n", asked, StringComparison.Ordinal);
        Assert.Equal(("orders", "1", "s", "orders", "", "0"), (App.Field(asked, "host"), App.Field(asked, "x-a"), App.Field(asked, "x-secret"), App.Field(asked, "x-from"), App.Field(asked, "x-hidden"), App.Field(asked, "content-length")));
        Assert.Equal("text/a", App.Field(asked, "content-type"));
        var head = Assert.Single(app.Heads);
        Assert.Equal(("alice", "", "", "id-1", "orders"), (App.Field(head, "x-user"), App.Field(head, "x-other"), App.Field(head, "x-secret"), App.Field(head, "x-request-id"), App.Field(head, "host")));
    }

    [Theory]
    [InlineData("", "1")]
    [InlineData(", headersToDownstreamOnDeny: [x-other]", "1")]
    [InlineData(", headersToDownstreamOnDeny: [x-nothing]", "")]
    public async Task An_HTTP_authoriser_that_denies_may_send_the_client_elsewhere(string more, string other)
    {
        await using var app = App.Http();
        await using var authoriser = App.Http((_, _) => "HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 5\r\nX-Other: 1\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nlogin");
        await using var mesh = new Mesh(Http(authoriser.EndPoint, more));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);

        var denied = await client.AskAsync(Get);

        Assert.Equal((302, "login", "https://login.example/", other), (denied.Status, denied.Body, App.Field(denied.Head, "location"), App.Field(denied.Head, "x-other")));
        Assert.Equal("", App.Field(denied.Head, "keep-alive"));
        Assert.Empty(app.Heads);
    }

    [Fact]
    public async Task A_body_that_is_too_long_is_left_out_of_a_denial()
    {
        await using var app = App.Http();
        await using var authoriser = App.Http((_, _) => $"HTTP/1.1 403 No\r\nContent-Length: {1 << 20}\r\nContent-Type: text/html\r\n\r\n{new string('x', 1 << 20)}");
        await using var mesh = new Mesh(Http(authoriser.EndPoint));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);

        var denied = await client.AskAsync(Get);

        Assert.Equal((403, "denied"), (denied.Status, JsonDocument.Parse(denied.Body).RootElement.GetProperty("code").GetString()));
        Assert.Equal("application/problem+json", App.Field(denied.Head, "content-type"));
    }

    [Fact]
    public async Task A_wait_for_a_turn_counts_into_the_timeout()
    {
        await using var app = App.Http();
        await using var silent = App.Serving(async (stream, _) => await stream.CopyToAsync(Stream.Null));
        await using var mesh = new Mesh(Grpc(silent.EndPoint, ", timeout: 0.3s"));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: config => mesh.Configure(config) with { Limits = new ProxyLimits { Checks = 1 } });

        var statuses = await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            await using var client = await Wire.PlainAsync(world.Inbound);
            return (await client.AskAsync(Get)).Status;
        }));

        Assert.All(statuses, status => Assert.Equal(403, status));
    }

    [Fact]
    public async Task Mesh_settings_are_followed_and_broken_ones_leave_the_last_in_force()
    {
        await using var app = App.Http();
        await using var no = await StartAsync(_ => Deny());
        await using var yes = await StartAsync(_ => Allow());
        await using var mesh = new Mesh(Grpc(no.EndPoint));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure);
        await using var client = await Wire.PlainAsync(world.Inbound);
        Assert.Equal(403, (await client.AskAsync(Get)).Status);

        mesh.Write(Grpc(yes.EndPoint));
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get)).Status == 200, "the new authoriser is asked");

        mesh.Write("extensionProviders: [{name: authz, envoyExtAuthzGrpc: {service: 127.0.0.1, port: 1, includeRequestBodyInCheck: {maxRequestBytes: 1}}}]");
        await Eventually.IsTrueAsync(
            async () => (await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/ready"))).Contains("includeRequestBodyInCheck is not supported", StringComparison.Ordinal),
            "the mistake is named");
        Assert.Equal(200, (await client.AskAsync(Get)).Status);
    }

    [Fact]
    public async Task Mesh_settings_that_were_never_good_stop_the_start()
    {
        await using var app = App.Http();
        await using var mesh = new Mesh("extensionProviders: [{nam: authz}]");

        var problem = await Assert.ThrowsAsync<Signet.Hosting.Files.PlaceException>(() => ProxyWorld.InboundAsync(app.EndPoint, AskAboutAsk, change: mesh.Configure));

        Assert.Contains("extensionProviders[0].nam is not a known field", problem.Message, StringComparison.Ordinal);
    }

    private static EndPoint Nobody()
    {
        using var gone = new TcpListener(IPAddress.Loopback, 0);
        gone.Start();
        return gone.LocalEndpoint;
    }

    /// <summary>A file of mesh settings.</summary>
    private sealed class Mesh : IAsyncDisposable
    {
        private readonly TestFolder _folder = new();

        public Mesh(string text) => Write(text);

        public ProxyConfig Configure(ProxyConfig config) => config with { MeshFile = _folder.File("mesh.yaml") };

        public void Write(string text)
        {
            File.WriteAllText(_folder.File("mesh.yaml.new"), text);
            File.Move(_folder.File("mesh.yaml.new"), _folder.File("mesh.yaml"), overwrite: true);
        }

        public ValueTask DisposeAsync()
        {
            _folder.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
