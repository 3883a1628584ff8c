using System.Net;
using System.Net.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Signet.Hosting.Grpc;
using Signet.Proxy.Probes;
using Signet.Rpc.Wire.Health;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Probes of the application, asked for at the proxy's own port.</summary>
public sealed class ProbeTests
{
    [Theory]
    [InlineData("200 OK", 200)]
    [InlineData("302 Found", 200)]
    [InlineData("404 Not Found", 503)]
    [InlineData("500 Internal Server Error", 503)]
    public async Task An_HTTP_probe_is_as_good_as_the_applications_answer(string status, int expected)
    {
        await using var app = App.Http((_, _) => $"HTTP/1.1 {status}\r\nContent-Length: 6\r\n\r\nsecret");
        await using var world = await WorldAsync(app.EndPoint, new ProbeCheck.Http("/healthz?full=1", false, "orders.local", new Dictionary<string, string> { ["X-Probe"] = "yes" }));

        var answer = await AskAsync(world, "/app-health/orders/readyz?path=/admin", "X-Attack: 1");
        Assert.Equal(expected, (int)answer.StatusCode);
        Assert.DoesNotContain("secret", await answer.Content.ReadAsStringAsync());

        Assert.True(app.Heads.TryDequeue(out var head));
        Assert.StartsWith("GET /healthz?full=1 HTTP/1.1\r\n", head);
        Assert.Equal(("orders.local", "yes"), (App.Field(head, "host"), App.Field(head, "x-probe")));
        Assert.DoesNotContain("X-Attack", head, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task An_HTTPS_probe_takes_whatever_certificate_the_application_has()
    {
        var certificates = RpcTestCertificates.Create();
        await using var app = App.Serving(async (stream, _) =>
        {
            await using var tls = new SslStream(stream);
            await tls.AuthenticateAsServerAsync(certificates.Server);
            await new App.ByteReader(tls).HeadAsync();
            await tls.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
        });
        await using var world = await WorldAsync(app.EndPoint, new ProbeCheck.Http("/", true, null, new Dictionary<string, string>()));

        Assert.Equal(200, (int)(await AskAsync(world, "/app-health/orders/readyz")).StatusCode);
    }

    [Fact]
    public async Task A_TCP_probe_needs_a_connection_and_nothing_more()
    {
        var app = App.Echo();
        await using var world = await WorldAsync(app.EndPoint, new ProbeCheck.Tcp());
        Assert.Equal(200, (int)(await AskAsync(world, "/app-health/orders/readyz")).StatusCode);

        await app.DisposeAsync();
        var answer = await AskAsync(world, "/app-health/orders/readyz");
        Assert.Equal(503, (int)answer.StatusCode);
        Assert.Contains("refused", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_gRPC_probe_asks_for_the_health_of_a_service()
    {
        var health = new GrpcHealthService();
        health.Set("orders", HealthCheckResponse.Types.ServingStatus.Serving);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        await using var app = builder.Build();
        app.UseRouting();
        app.MapGrpc(TimeProvider.System, new GrpcServerOptions(), services => services.Add(Health.Descriptor, Health.BindService(health)));
        await app.StartAsync();
        var address = app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single();
        await using var world = await WorldAsync(new IPEndPoint(IPAddress.Loopback, new Uri(address).Port), new ProbeCheck.Grpc("orders"));
        Assert.Equal(200, (int)(await AskAsync(world, "/app-health/orders/readyz")).StatusCode);

        health.Set("orders", HealthCheckResponse.Types.ServingStatus.NotServing);
        var answer = await AskAsync(world, "/app-health/orders/readyz");
        Assert.Equal(503, (int)answer.StatusCode);
        Assert.Contains("NotServing", await answer.Content.ReadAsStringAsync());
        using var atOnce = new CancellationTokenSource(TimeSpan.Zero);
        await app.StopAsync(atOnce.Token);
    }

    [Fact]
    public async Task A_silent_application_is_not_well_when_the_time_is_over()
    {
        await using var app = App.Serving(async (stream, _) => await stream.ReadExactlyAsync(new byte[1024 * 1024]));
        await using var world = await WorldAsync(app.EndPoint, new ProbeCheck.Http("/", false, null, new Dictionary<string, string>()), TimeSpan.FromMilliseconds(50));

        Assert.Contains("no answer within 50ms", await (await AskAsync(world, "/app-health/orders/readyz")).Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Only_the_configured_paths_lead_to_the_application()
    {
        await using var app = App.Http();
        await using var world = await WorldAsync(app.EndPoint, new ProbeCheck.Http("/", false, null, new Dictionary<string, string>()));
        foreach (var path in new[] { "/app-health/orders/livez", "/app-health/other/readyz", "/app-health/orders/readyz/", "/app-health/orders/readyz/../../admin", "/app-health/", "/" })
        {
            Assert.Equal(404, (int)(await AskAsync(world, path)).StatusCode);
        }

        using var post = await world.Admin.PostAsync(new Uri($"http://{world.Proxy.ReadyEndPoint}/app-health/orders/readyz"), new StringContent("x"));
        Assert.Equal(405, (int)post.StatusCode);
        Assert.Equal(0, app.Count);
    }

    [Fact]
    public async Task An_address_of_another_machine_is_never_asked()
    {
        await using var world = await WorldAsync(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 80), new ProbeCheck.Tcp());

        Assert.Contains("not one of this machine", await (await AskAsync(world, "/app-health/orders/readyz")).Content.ReadAsStringAsync());
    }

    private static Task<ProxyWorld> WorldAsync(IPEndPoint app, ProbeCheck check, TimeSpan? timeout = null) => ProxyWorld.InboundAsync(
        app, ProxyWorld.Strict, change: config => config with
        {
            Ready = new IPEndPoint(IPAddress.Loopback, 0),
            Probes = [new ProbeConfig("/app-health/orders/readyz", app, check, timeout ?? TimeSpan.FromSeconds(30))],
        });

    private static async Task<HttpResponseMessage> AskAsync(ProxyWorld world, string path, string? header = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://{world.Proxy.ReadyEndPoint}{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (header?.Split(": ") is [var name, var value])
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return await world.Admin.SendAsync(request);
    }
}
