using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Several endpoints of a service: who is asked, who is left out, how much is too much, and what is sent again.</summary>
public sealed class BalancingTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";
    private const string Post = "POST /b HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\nhi";
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    [Fact]
    public async Task No_idempotent_request_fails_while_a_proxy_of_the_service_dies_and_comes_back()
    {
        var authority = new TestAuthority(Now);
        await using var first = App.Http((_, _) => App.Ok("1"));
        await using var second = App.Http((_, _) => App.Ok("2"));
        await using var one = await ProxyWorld.InboundAsync(first.EndPoint, ProxyWorld.Strict, authority: authority);
        var two = await ProxyWorld.InboundAsync(second.EndPoint, ProxyWorld.Strict, authority: authority);
        var place = two.Inbound;
        await using var web = await ProxyWorld.OutboundAsync([one.Inbound, place], authority, policy: Rule("outlierDetection: {consecutive5xxErrors: 2, interval: 100ms, baseEjectionTime: 1s, maxEjectionPercent: 50}"));
        var answers = new ConcurrentQueue<(int Status, string Body)>();
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            while (!stop.IsCancellationRequested)
            {
                var (status, _, body) = await client.AskAsync(Get);
                answers.Enqueue((status, body));
            }
        })).ToArray();

        await Eventually.IsTrueAsync(() => Has(answers, "1") && Has(answers, "2"), "both are asked");
        await two.DisposeAsync();
        answers.Clear();
        await Eventually.IsTrueAsync(() => answers.Count > 100 || clients.Any(client => client.IsFaulted), "requests go on");
        await using var again = await ProxyWorld.InboundAsync(
            second.EndPoint, ProxyWorld.Strict, authority: authority, change: config => config with { Inbound = [config.Inbound[0] with { Listen = place }] });
        await Eventually.IsTrueAsync(() => Has(answers, "2") || clients.Any(client => client.IsFaulted), "the second is asked again");
        await stop.CancelAsync();
        await Task.WhenAll(clients);

        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        Assert.True(web.Proxy.Upstreams.Single().Endpoints[1].Failed > 0);
    }

    [Fact]
    public async Task Who_is_slow_gets_less_under_least_request_and_the_same_in_turns()
    {
        var slow = new TaskCompletionSource();
        await using var quick = App.Http((_, _) => App.Ok("quick"));
        await using var lazy = App.Serving(async (stream, app) =>
        {
            var reader = new App.ByteReader(stream);
            while (await reader.HeadAsync() is { } head)
            {
                app.Heads.Enqueue(head);
                await slow.Task;
                await stream.WriteAsync(Encoding.Latin1.GetBytes(App.Ok("lazy")));
            }
        });
        await using var web = await StartAsync([quick.EndPoint, lazy.EndPoint], "loadBalancer: {simple: LEAST_REQUEST}");
        List<Wire> stuck = [];
        for (var answered = 0; answered < 60;)
        {
            var client = await Wire.PlainAsync(web.Outbound);
            await client.SendAsync(Get);
            if (await Task.WhenAny(client.ReadResponseAsync(), WaitFor(() => lazy.Heads.Count > stuck.Count)) is Task<(int, string, string)>)
            {
                answered++;
                await client.DisposeAsync();
            }
            else
            {
                stuck.Add(client);
            }
        }

        Assert.InRange(lazy.Heads.Count, 0, 2);
        slow.SetResult();
        foreach (var client in stuck)
        {
            await client.DisposeAsync();
        }

        await using var turns = await StartAsync([quick.EndPoint, lazy.EndPoint], "loadBalancer: {simple: ROUND_ROBIN}");
        var (before, beforeLazy) = (quick.Heads.Count, lazy.Heads.Count);
        await using var one = await Wire.PlainAsync(turns.Outbound);
        for (var i = 0; i < 10; i++)
        {
            await one.AskAsync(Get);
        }

        Assert.Equal((5, 5), (quick.Heads.Count - before, lazy.Heads.Count - beforeLazy));
    }

    [Fact]
    [Proves(RefusalReason.UpstreamUnhealthy)]
    public async Task Who_answers_500_is_left_out_and_when_all_are_nothing_is_sent_unless_the_rule_wants_panic()
    {
        await using var good = App.Http();
        await using var bad = App.Http((_, _) => "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
        const string outliers = "outlierDetection: {consecutive5xxErrors: 2, baseEjectionTime: 1h, maxEjectionPercent: 100";
        await using var web = await StartAsync([good.EndPoint, bad.EndPoint], "loadBalancer: {simple: ROUND_ROBIN}, " + outliers + "}");
        await using var client = await Wire.PlainAsync(web.Outbound);
        var statuses = new List<int>();
        for (var i = 0; i < 20; i++)
        {
            statuses.Add((await client.AskAsync(Get)).Status);
        }

        Assert.Equal(2, statuses.Count(status => status == 500));
        var endpoint = web.Proxy.Upstreams.Single().Endpoints[1];
        Assert.Equal((false, "Consecutive5xx"), (endpoint.IsWell, endpoint.EjectedFor));
        Assert.InRange(endpoint.EjectedUntil!.Value, Now.AddMinutes(50), Now.AddMinutes(90));

        await using var alone = await StartAsync([bad.EndPoint], outliers + "}");
        await using var lonely = await Wire.PlainAsync(alone.Outbound);
        foreach (var status in new[] { 500, 500, 503, 503 })
        {
            Assert.Equal(status, (await lonely.AskAsync(Get)).Status);
        }

        await alone.RefusedAsync(RefusalReason.UpstreamUnhealthy);

        await using var panic = await StartAsync([bad.EndPoint], outliers + ", minHealthPercent: 1}");
        await using var nervous = await Wire.PlainAsync(panic.Outbound);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(500, (await nervous.AskAsync(Get)).Status);
        }

        Assert.True(panic.Proxy.Upstreams.Single().IsPanicking);
    }

    [Theory]
    [InlineData("/healthz")]
    [InlineData(null)]
    public async Task Who_fails_its_checks_is_not_asked_until_it_passes_again(string? path)
    {
        var authority = new TestAuthority(Now);
        var isWell = true;
        await using var first = App.Http((head, _) => head.StartsWith("GET /healthz ", StringComparison.Ordinal) && !Volatile.Read(ref isWell) ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" : App.Ok("1"));
        await using var second = App.Http((_, _) => App.Ok("2"));
        var one = await ProxyWorld.InboundAsync(first.EndPoint, ProxyWorld.Strict, authority: authority);
        var place = one.Inbound;
        await using var two = await ProxyWorld.InboundAsync(second.EndPoint, ProxyWorld.Strict, authority: authority);
        var check = new HealthCheckConfig { Path = path, Interval = TimeSpan.FromMilliseconds(20), Timeout = TimeSpan.FromSeconds(5), UnhealthyThreshold = 2, HealthyThreshold = 2 };
        await using var web = await ProxyWorld.OutboundAsync([place, two.Inbound], authority, change: config => config with { Outbound = [config.Outbound[0] with { HealthCheck = check }] });
        await HealthIsAsync(web, "healthy", "healthy");

        if (path is null)
        {
            await one.DisposeAsync();
        }
        else
        {
            Volatile.Write(ref isWell, false);
        }

        await HealthIsAsync(web, "unhealthy", "healthy");
        Assert.Contains("health check", web.Proxy.Upstreams.Single().Endpoints[0].LastFailure, StringComparison.Ordinal);
        await using var client = await Wire.PlainAsync(web.Outbound);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("2", (await client.AskAsync(Get)).Body);
        }

        Volatile.Write(ref isWell, true);
        await using var again = path is null
            ? await ProxyWorld.InboundAsync(first.EndPoint, ProxyWorld.Strict, authority: authority, change: config => config with { Inbound = [config.Inbound[0] with { Listen = place }] })
            : one;
        await HealthIsAsync(web, "healthy", "healthy");
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get)).Body == "1", "the first is asked again");
    }

    [Fact]
    [Proves(RefusalReason.UpstreamOverloaded)]
    public async Task Requests_and_connections_beyond_the_limits_are_refused_and_those_that_may_wait_are_served()
    {
        var go = new SemaphoreSlim(0);
        await using var app = Gated(go);
        await using var web = await StartAsync([app.EndPoint], "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}");
        await using var first = await Wire.PlainAsync(web.Outbound);
        await using var second = await Wire.PlainAsync(web.Outbound);
        await using var third = await Wire.PlainAsync(web.Outbound);
        await first.SendAsync(Get);
        await Eventually.IsTrueAsync(() => app.Heads.Count == 1, "the first request is under way");
        await second.SendAsync(Get);
        await Eventually.IsTrueAsync(() => web.Proxy.Upstreams.Single().Waiting == 1, "the second waits");
        Assert.Equal(503, (await third.AskAsync(Get)).Status);
        Assert.Contains("http1MaxPendingRequests", (await web.RefusedAsync(RefusalReason.UpstreamOverloaded)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        go.Release(2);
        Assert.Equal((200, 200), ((await first.ReadResponseAsync()).Status, (await second.ReadResponseAsync()).Status));

        await using var few = await StartAsync([app.EndPoint], "connectionPool: {http: {http2MaxRequests: 1}}");
        await using var fourth = await Wire.PlainAsync(few.Outbound);
        await using var fifth = await Wire.PlainAsync(few.Outbound);
        await fourth.SendAsync(Get);
        await Eventually.IsTrueAsync(() => app.Heads.Count == 3, "a request is under way");
        Assert.Equal(503, (await fifth.AskAsync(Get)).Status);
        go.Release();
        Assert.Equal(200, (await fourth.ReadResponseAsync()).Status);
        go.Release();
        Assert.Equal(200, (await fifth.AskAsync(Get)).Status);
    }

    [Fact]
    public async Task Tcp_connections_beyond_the_limit_are_refused_until_one_has_ended()
    {
        await using var echo = App.Echo();
        await using var web = await StartAsync([echo.EndPoint], "connectionPool: {tcp: {maxConnections: 1}}", AppProtocol.Tcp);
        await using (var first = await Wire.PlainAsync(web.Outbound))
        {
            await first.SendAsync("hello");
            await first.ReadUntilAsync("hello");
            try
            {
                await using var second = await Wire.PlainAsync(web.Outbound);
                Assert.Equal("", await second.ReadToEndAsync());
            }
            catch (SocketException)
            {
                // Reset before a byte was read.
            }

            await web.RefusedAsync(RefusalReason.UpstreamOverloaded);
        }

        await Eventually.IsTrueAsync(() => web.Proxy.Upstreams.Single().Connections == 0, "the first is over");
        await using var third = await Wire.PlainAsync(web.Outbound);
        await third.SendAsync("hello");
        await third.ReadUntilAsync("hello");
    }

    [Theory]
    [InlineData("", 1)]
    [InlineData("connectionPool: {http: {maxRequestsPerConnection: 2}}", 3)]
    public async Task A_connection_carries_as_many_requests_as_the_rule_says(string rule, int connections)
    {
        await using var app = App.Http();
        await using var web = await StartAsync([app.EndPoint], rule, change: config => config with { Timeouts = config.Timeouts with { UpstreamIdle = TimeSpan.FromMinutes(5) } });
        await using var client = await Wire.PlainAsync(web.Outbound);
        for (var i = 0; i < 6; i++)
        {
            Assert.Equal(200, (await client.AskAsync(Get)).Status);
        }

        Assert.Equal(connections, app.Count);
    }

    [Fact]
    public async Task What_broke_without_an_answer_is_sent_again_elsewhere_only_when_it_is_idempotent_and_has_no_body()
    {
        await using var good = App.Http();
        await using var breaking = App.Serving(async (stream, app) =>
        {
            app.Heads.Enqueue((await new App.ByteReader(stream).HeadAsync())!);
            stream.Socket.LingerState = new LingerOption(true, 0);
        });
        await using var web = await StartAsync([good.EndPoint, breaking.EndPoint], "loadBalancer: {simple: ROUND_ROBIN}");
        await using var client = await Wire.PlainAsync(web.Outbound);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(200, (await client.AskAsync(Get)).Status);
        }

        Assert.True(breaking.Heads.Count >= 3);
        Assert.Equal(breaking.Heads.Count, (int)web.Proxy.Upstreams.Single().Retried);
        var before = (Good: good.Heads.Count, Breaking: breaking.Heads.Count);
        var statuses = new List<int>();
        for (var i = 0; i < 6; i++)
        {
            await using var another = await Wire.PlainAsync(web.Outbound);
            statuses.Add((await another.AskAsync(Post)).Status);
        }

        Assert.Equal((3, 3), (statuses.Count(status => status == 200), statuses.Count(status => status == 502)));
        Assert.Equal((3, 3), (good.Heads.Count - before.Good, breaking.Heads.Count - before.Breaking));
    }

    [Fact]
    public async Task What_was_never_sent_is_sent_elsewhere_whatever_it_is()
    {
        await using var good = App.Http();
        using var gone = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        gone.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await using var web = await StartAsync([good.EndPoint, gone.LocalEndPoint!], "loadBalancer: {simple: ROUND_ROBIN}", change: config => config with { Limits = config.Limits with { IdleUpstreams = 0 } });
        await using var client = await Wire.PlainAsync(web.Outbound);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(200, (await client.AskAsync(Post)).Status);
        }

        Assert.Equal(10, good.Heads.Count);
        Assert.Equal(5, web.Proxy.Upstreams.Single().Retried);

        // However many they are at once: what was never sent is no burden that a budget would have to bound.
        var statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            await using var one = await Wire.PlainAsync(web.Outbound);
            return (await one.AskAsync(Post)).Status;
        }));
        Assert.All(statuses, status => Assert.Equal(200, status));

        await using var never = await StartAsync([gone.LocalEndPoint!, good.EndPoint], "loadBalancer: {simple: ROUND_ROBIN}", change: config => config with { Limits = config.Limits with { Retries = 0 } });
        await using var unlucky = await Wire.PlainAsync(never.Outbound);
        Assert.Equal(503, (await unlucky.AskAsync(Get)).Status);
        await never.RefusedAsync(RefusalReason.UpstreamConnectFailed);
    }

    [Fact]
    [Proves(RefusalReason.UpstreamTimeout)]
    public async Task An_answer_that_does_not_come_in_time_is_asked_for_elsewhere_and_in_the_end_given_up()
    {
        using var never = new SemaphoreSlim(0);
        await using var silent = Gated(never);
        await using var good = App.Http();
        var timeouts = new ProxyTimeouts { PerTry = TimeSpan.FromMilliseconds(200) };
        await using var web = await StartAsync([good.EndPoint, silent.EndPoint], "loadBalancer: {simple: ROUND_ROBIN}", change: config => config with { Timeouts = timeouts });
        for (var i = 0; i < 4; i++)
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            Assert.Equal(200, (await client.AskAsync(Get)).Status);
        }

        Assert.NotEmpty(silent.Heads);
        await using var alone = await StartAsync([silent.EndPoint], "", change: config => config with { Timeouts = new ProxyTimeouts { Request = TimeSpan.FromMilliseconds(200) } });
        await using var patient = await Wire.PlainAsync(alone.Outbound);
        Assert.Equal(504, (await patient.AskAsync(Get)).Status);
        Assert.Contains("timeouts.request", (await alone.RefusedAsync(RefusalReason.UpstreamTimeout)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(504, (await patient.AskAsync(Post.Replace("hi", "ho", StringComparison.Ordinal))).Status);
        never.Release(silent.Heads.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Proves(RefusalReason.RateLimited)]
    public async Task Requests_beyond_the_rate_get_429_and_are_not_forwarded(bool inbound)
    {
        await using var app = App.Http();
        var limit = new RateLimitConfig(1, 3);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, change: config => inbound ? config with { Inbound = [config.Inbound[0] with { RateLimit = limit }] } : config);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, change: config => inbound ? config : config with { Outbound = [config.Outbound[0] with { RateLimit = limit }] });
        await using var client = await Wire.PlainAsync(web.Outbound);
        var answers = new List<(int Status, string Head, string Body)>();
        await Eventually.IsTrueAsync(
            async () =>
            {
                answers.Add(await client.AskAsync(Get));
                return answers[^1].Status == 429;
            },
            "the burst is used up");

        Assert.InRange(answers.Count(answer => answer.Status == 200), 3, 30);
        Assert.Equal(answers.Count(answer => answer.Status == 200), app.Heads.Count);
        Assert.Contains("rate_limited", answers[^1].Body, StringComparison.Ordinal);
        Assert.Equal("1", App.Field(answers[^1].Head, "retry-after"));
        await (inbound ? orders : web).RefusedAsync(RefusalReason.RateLimited);
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get)).Status == 200, "more come in with time");
    }

    [Fact]
    public async Task Streams_of_HTTP_2_take_turns_and_count_like_requests_and_who_answers_500_is_left_out()
    {
        var authority = new TestAuthority(Now);
        using var go = new SemaphoreSlim(0);
        await using var good = await KestrelApp.StartAsync(HttpProtocols.Http2, async context => await go.WaitAsync(context.RequestAborted));
        await using var bad = await KestrelApp.StartAsync(HttpProtocols.Http2, context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        await using var one = await ProxyWorld.InboundAsync(good.EndPoint, ProxyWorld.Strict, AppProtocol.Http2, authority: authority);
        await using var two = await ProxyWorld.InboundAsync(bad.EndPoint, ProxyWorld.Strict, AppProtocol.Http2, authority: authority);
        await using var web = await ProxyWorld.OutboundAsync([one.Inbound, two.Inbound], authority, AppProtocol.Http2, policy: Rule(
            "loadBalancer: {simple: ROUND_ROBIN}, connectionPool: {tcp: {maxConnections: 1}, http: {http2MaxRequests: 2}}, outlierDetection: {consecutive5xxErrors: 2, baseEjectionTime: 1h, maxEjectionPercent: 50}"));
        using var http = new HttpClient();

        go.Release(2);
        var statuses = new List<int>();
        for (var i = 0; i < 4; i++)
        {
            statuses.Add(await GetAsync());
        }

        Assert.Equal((2, 2), (statuses.Count(status => status == 200), statuses.Count(status => status == 500)));
        Assert.Equal((true, false), (web.Proxy.Upstreams.Single().Endpoints[0].IsWell, web.Proxy.Upstreams.Single().Endpoints[1].IsWell));

        Task<int>[] waiting = [GetAsync(), GetAsync()];
        await Eventually.IsTrueAsync(() => web.Proxy.Upstreams.Single().Endpoints[0].Active == 2, "two are under way");
        Assert.Equal(503, await GetAsync());
        Assert.Contains("http2MaxRequests", (await web.RefusedAsync(RefusalReason.UpstreamOverloaded)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        go.Release(2);
        Assert.All(await Task.WhenAll(waiting), status => Assert.Equal(200, status));
        await Eventually.IsTrueAsync(() => web.Proxy.Upstreams.Single().Active == 0, "nothing is under way");
        var state = web.Proxy.Upstreams.Single();
        Assert.Equal((4, 2, 0, 2), ((int)state.Endpoints[0].Answers[0], (int)state.Endpoints[1].Answers[3], (int)state.Endpoints[0].Failed, good.Connections.Count + bad.Connections.Count));

        async Task<int> GetAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{web.Outbound}/a") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var response = await http.SendAsync(request);
            return (int)response.StatusCode;
        }
    }

    [Fact]
    public async Task A_session_holds_a_place_among_the_connections_until_it_ends()
    {
        var authority = new TestAuthority(Now);
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2);
        var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2, authority: authority);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], authority, AppProtocol.Http2);
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{web.Outbound}/200") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var response = await http.SendAsync(request);

        Assert.Equal(200, (int)response.StatusCode);
        Assert.Equal((1, 1), (web.Proxy.Upstreams.Single().Connections, web.Proxy.Upstreams.Single().Endpoints[0].Connections));
        await orders.DisposeAsync();
        await Eventually.IsTrueAsync(() => web.Proxy.Upstreams.Single() is { Connections: 0, Active: 0 } state && state.Endpoints[0].Connections == 0, "the place is free");
    }

    [Fact]
    public async Task The_state_can_be_read_as_a_page_and_as_metrics()
    {
        await using var app = App.Http((head, _) => head.StartsWith("GET /a ", StringComparison.Ordinal) ? App.Ok("hello") : "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        using var gone = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        gone.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await using var web = await StartAsync([app.EndPoint, gone.LocalEndPoint!], "loadBalancer: {simple: ROUND_ROBIN}");
        await using var client = await Wire.PlainAsync(web.Outbound);
        Assert.Equal(200, (await client.AskAsync(Get)).Status);
        Assert.Equal(200, (await client.AskAsync(Get)).Status);
        Assert.Equal(404, (await client.AskAsync(Get.Replace("/a", "/b", StringComparison.Ordinal))).Status);

        var page = (await web.AdminAsync("/upstreams")).GetProperty("upstreams")[0];
        Assert.Equal(("outbound-orders:8080", "ROUND_ROBIN", "default/orders"), (page.GetProperty("name").GetString(), page.GetProperty("loadBalancer").GetString(), page.GetProperty("rule").GetString()));
        var (good, bad) = (page.GetProperty("endpoints")[0], page.GetProperty("endpoints")[1]);
        Assert.Equal((app.EndPoint.ToString(), 2, 1, 0), (good.GetProperty("address").GetString(), good.GetProperty("answers").GetProperty("2xx").GetInt32(), good.GetProperty("answers").GetProperty("4xx").GetInt32(), good.GetProperty("active").GetInt32()));
        Assert.Equal((1, 1, JsonValueKind.String), (good.GetProperty("connections").GetInt32(), bad.GetProperty("failed").GetInt32(), bad.GetProperty("lastFailure").ValueKind));

        var metrics = await web.Admin.GetStringAsync(new Uri($"http://{web.Proxy.AdminEndPoint}/metrics"));
        Assert.Matches($$"""signet_proxy_upstream_failures_total\{[^}]*"{{gone.LocalEndPoint}}"[^}]*\} 1\n""", metrics);
        Assert.Matches($$"""signet_proxy_upstream_answers_total\{[^}]*class="2xx"[^}]*"{{app.EndPoint}}"[^}]*\} 2\n""", metrics);
        Assert.Matches("""signet_proxy_upstream_retries_total\{service="outbound-orders:8080"\} 1\n""", metrics);
        Assert.Matches("""signet_proxy_upstream_well\{[^}]*\} 1\n""", metrics);
    }

    private static Task<ProxyWorld> StartAsync(EndPoint[] endpoints, string traffic, AppProtocol protocol = AppProtocol.Http, Func<ProxyConfig, ProxyConfig>? change = null) => ProxyWorld.OutboundAsync(
        endpoints, new TestAuthority(Now), protocol, Rule("tls: {mode: DISABLE}" + (traffic.Length > 0 ? ", " + traffic : "")), change: change);

    private static string Rule(string traffic) =>
        $"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: orders, namespace: default}}\nspec: {{host: orders.default.svc.cluster.local, trafficPolicy: {{{traffic}}}}}\n";

    /// <summary>Answers one request each time that the gate lets it.</summary>
    private static App Gated(SemaphoreSlim gate) => App.Serving(async (stream, app) =>
    {
        var reader = new App.ByteReader(stream);
        while (await reader.HeadAsync() is { } head)
        {
            await reader.BodyAsync(head);
            app.Heads.Enqueue(head);
            if (!await gate.WaitAsync(TimeSpan.FromSeconds(30)))
            {
                return;
            }

            await stream.WriteAsync(Encoding.Latin1.GetBytes(App.Ok("hello")));
        }
    });

    private static Task HealthIsAsync(ProxyWorld web, params string[] health) =>
        Eventually.IsTrueAsync(() => web.Proxy.Upstreams.Single().Endpoints.Select(endpoint => endpoint.Health).SequenceEqual(health), $"health is {string.Join(", ", health)}");

    private static bool Has(ConcurrentQueue<(int Status, string Body)> answers, string body) => answers.Any(answer => answer.Body == body);

    private static Task WaitFor(Func<bool> condition) => Eventually.IsTrueAsync(condition, "one of both");
}
