using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Hosting.Admin;
using Signet.Hosting.Daemons;
using Signet.Hosting.Telemetry;

namespace Signet.FunctionalTests.Hosting.Admin;

public sealed class AdminEndpointTests(AdminEndpointTests.Running running) : IClassFixture<AdminEndpointTests.Running>
{
    private readonly HttpClient _http = running.Http;

    [Fact]
    public async Task Answers_whether_it_lives_and_is_ready()
    {
        Assert.Equal("live\n", await _http.GetStringAsync("/live"));
        using (var notReady = await _http.GetAsync("/ready"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, notReady.StatusCode);
            Assert.Contains("not started yet", await notReady.Content.ReadAsStringAsync());
        }

        running.Readiness.Set("svid", Readiness.Ready);
        using var ready = await _http.GetAsync("/ready");
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        Assert.Equal("no-store", ready.Headers.CacheControl?.ToString());
    }

    [Fact]
    public async Task Answers_with_metrics()
    {
        using var answer = await _http.GetAsync("/metrics");

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        Assert.Contains("# TYPE kestrel_active_connections gauge\n", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Answers_routes_of_a_role_with_query_and_body()
    {
        using var answer = await _http.PostAsJsonAsync("/echo?a=1&a=2", new JsonObject { ["b"] = 3 });

        Assert.Equal("{\"a\":\"2\",\"b\":3}", JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.ToJsonString());
    }

    [Fact]
    public async Task Answers_head_like_get_without_a_body()
    {
        using var answer = await _http.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/live"));

        Assert.Equal((HttpStatusCode.OK, 5L), (answer.StatusCode, answer.Content.Headers.ContentLength));
    }

    [Theory]
    [InlineData("GET", "/nothing", 404, "GET /live")]
    [InlineData("GET", "/live/", 404, "GET /live")]
    [InlineData("GET", "/LIVE", 404, "GET /live")]
    [InlineData("DELETE", "/live", 405, "GET")]
    [InlineData("GET", "/echo", 405, "POST")]
    [InlineData("GET", "/broken", 500, "the log says why")]
    public async Task Says_what_there_is_instead(string method, string path, int status, string hint)
    {
        using var answer = await _http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
        var body = await answer.Content.ReadAsStringAsync();

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Contains(hint, body);
        Assert.DoesNotContain("secret detail", body);
    }

    [Theory]
    [InlineData("localhost", 200)]
    [InlineData("LOCALHOST:15000", 200)]
    [InlineData("127.0.0.1", 200)]
    [InlineData("127.8.8.8:80", 200)]
    [InlineData("[::1]:80", 200)]
    [InlineData("evil.example", 403)]
    [InlineData("127.0.0.1.evil.example", 403)]
    [InlineData("localhost.evil.example", 403)]
    [InlineData("10.0.0.5", 403)]
    [InlineData("8.8.8.8:15000", 403)]
    public async Task Answers_only_to_names_that_a_rebound_page_cannot_claim(string host, int status)
    {
        using var answer = await _http.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/live") { Headers = { Host = host } });

        Assert.Equal(status, (int)answer.StatusCode);
    }

    [Theory]
    [InlineData("10.0.0.5:15020", 200)]
    [InlineData("evil.example", 403)]
    public async Task Answers_to_any_address_when_it_listens_on_all(string host, int status)
    {
        await using var everywhere = running.Make(new IPEndPoint(IPAddress.Any, 0));
        await everywhere.StartAsync(CancellationToken.None);
        using var answer = await _http.SendAsync(
            new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{everywhere.LocalEndPoint.Port}/live") { Headers = { Host = host } });

        Assert.Equal(status, (int)answer.StatusCode);
    }

    [Theory]
    [InlineData("Origin", "http://evil.example", 403)]
    [InlineData("Origin", "null", 403)]
    [InlineData("Sec-Fetch-Site", "cross-site", 403)]
    [InlineData("Sec-Fetch-Site", "same-site", 403)]
    [InlineData("Sec-Fetch-Site", "same-origin", 200)]
    [InlineData("X-Other", "x", 200)]
    public async Task Takes_posts_from_no_other_page(string header, string value, int status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/echo") { Content = new StringContent("{}") };
        request.Headers.TryAddWithoutValidation(header, value);
        using var answer = await _http.SendAsync(request);

        Assert.Equal(status, (int)answer.StatusCode);
    }

    [Theory]
    [InlineData("{", 400)]
    [InlineData("", 200)]
    public async Task Refuses_a_body_that_is_not_json(string body, int status)
    {
        using var answer = await _http.PostAsync("/echo", new StringContent(body));

        Assert.Equal(status, (int)answer.StatusCode);
    }

    [Fact]
    public async Task Refuses_a_body_that_is_too_large()
    {
        // The client asks first: one that sends at once may find the connection closed before it has read the answer.
        using var request = new HttpRequestMessage(HttpMethod.Post, "/echo") { Content = new ByteArrayContent(new byte[AdminEndpoint.MaxBodyBytes + 1]) };
        request.Headers.ExpectContinue = true;
        using var answer = await _http.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task Says_who_holds_the_port_and_how_to_choose_another()
    {
        await using var second = running.Make(running.Endpoint.LocalEndPoint);

        var e = await Assert.ThrowsAsync<CannotListenException>(() => second.StartAsync(CancellationToken.None));

        Assert.Equal($"cannot listen on {running.Endpoint.LocalEndPoint}: address is already in use by another process; choose another with \"admin\"", e.Message);
    }

    [Fact]
    public async Task Says_that_an_address_is_not_of_this_machine()
    {
        await using var elsewhere = running.Make(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 0));

        var e = await Assert.ThrowsAsync<CannotListenException>(() => elsewhere.StartAsync(CancellationToken.None));

        Assert.Contains("no interface of this machine has that address", e.Message);
    }

    [Fact]
    public async Task Frees_its_port_when_it_stops()
    {
        await using var endpoint = running.Make(new IPEndPoint(IPAddress.Loopback, 0));
        await endpoint.StartAsync(CancellationToken.None);
        await endpoint.StopAsync(CancellationToken.None);
        Assert.True(endpoint.Completion.IsCompletedSuccessfully);

        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(endpoint.LocalEndPoint);
    }

    /// <summary>One endpoint for all tests.</summary>
    [SuppressMessage("Performance", "CA1812", Justification = "made by the test framework")]
    public sealed class Running : IAsyncLifetime
    {
        private readonly MetricsCollector _metrics = new();

        public Running() => Endpoint = Make(new IPEndPoint(IPAddress.Loopback, 0));

        public AdminEndpoint Endpoint { get; }

        public ReadinessBoard Readiness { get; } = new("svid");

        public HttpClient Http { get; } = new();

        public async ValueTask InitializeAsync()
        {
            await Endpoint.StartAsync(CancellationToken.None);
            Http.BaseAddress = new Uri($"http://{Endpoint.LocalEndPoint}");
        }

        public async ValueTask DisposeAsync()
        {
            Http.Dispose();
            _metrics.Dispose();
            await Endpoint.DisposeAsync();
        }

        /// <summary>Another one, not started.</summary>
        public AdminEndpoint Make(IPEndPoint listen) => new(
            listen,
            "admin",
            [
                AdminRoute.Live,
                AdminRoute.Ready(Readiness),
                PrometheusText.Route(_metrics),
                AdminRoute.Get("/broken", _ => throw new InvalidOperationException("secret detail")),
                AdminRoute.Post("/echo", (request, _) => new(AdminAnswer.Json(200, new JsonObject
                {
                    ["a"] = request.Query.GetValueOrDefault("a"),
                    ["b"] = request.Body?["b"]?.DeepClone(),
                }))),
            ],
            NullLoggerFactory.Instance);
    }
}
