using System.Net;
using Signet.InteropTests.Http2;
using Signet.InteropTests.Rpc;
using Signet.Testing;
using Signet.Testing.Rpc;
using ServingStatus = Signet.Rpc.Wire.Health.HealthCheckResponse.Types.ServingStatus;

namespace Signet.InteropTests.DataPlane;

/// <summary>Clients and servers of HTTP/2 and gRPC that others wrote, on both ends of two proxies.</summary>
public sealed class HttpTests
{
    private const long Large = 20L * 1024 * 1024;
    private static readonly string Nghttp = Peer.Require("/usr/bin/nghttp", "nghttp2-client");
    private static readonly string Nghttpd = Peer.Require("/usr/sbin/nghttpd", "nghttp2-server");
    private static readonly string H2load = Peer.Require("/usr/bin/h2load", "nghttp2-client");
    private static readonly string Curl = Peer.Require("/usr/bin/curl", "curl");

    [Fact]
    public async Task Curl_moves_twenty_megabytes_each_way_in_either_version_to_either_version()
    {
        await using var mesh = new Sidecars();
        var backend = await NghttpdAsync(mesh);
        var (web, _) = await mesh.PairAsync(backend, "http2");
        foreach (var version in new[] { "--http2-prior-knowledge", "--http1.1" })
        {
            var down = mesh.File("down");
            Assert.Equal("200", await Peer.RunAsync(Curl, mesh.File("."), "-sS", version, "-o", down, "-w", "%{http_code}", $"http://{web.EndPoint}/large"));
            await using (var stream = File.OpenRead(down))
            {
                Assert.Equal(Content.HashOf(Large), await Content.HashOfAsync(stream));
            }

            // nghttpd sends back what it is sent.
            Assert.Equal("200", await Peer.RunAsync(Curl, mesh.File("."), "-sS", version, "-T", mesh.File("htdocs/large"), "-X", "POST", "-o", down, "-w", "%{http_code}", $"http://{web.EndPoint}/"));
            await using (var stream = File.OpenRead(down))
            {
                Assert.Equal(Content.HashOf(Large), await Content.HashOfAsync(stream));
            }
        }
    }

    [Fact]
    public async Task Curl_with_a_certificate_agrees_on_h2_and_is_refused_without_one()
    {
        await using var mesh = new Sidecars();
        var orders = await mesh.InboundAsync(await NghttpdAsync(mesh), "http2");
        var own = mesh.WriteIdentity("web");
        string[] common = ["-sS", "--http2", "-k", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", $"https://{orders.EndPoint}/small"];
        Assert.Equal("2 200", await Peer.RunAsync(Curl, mesh.File("."), ["--cert", $"{own}/chain.pem", "--key", $"{own}/key.pem", .. common]));
        var (exit, _) = await Tool.RunAsync(Curl, common);
        Assert.NotEqual(0, exit);
        await Eventually.IsTrueAsync(
            () => orders.Log().Any(line => line.GetProperty("tls").GetProperty("alpn").GetString() == "h2" && line.GetProperty("source").GetProperty("principal").GetString() == "example.org/ns/default/sa/web"),
            "the request with its peer in the access log");
    }

    [Fact]
    public async Task Nghttp_with_padding_continuations_and_small_windows_is_served()
    {
        await using var mesh = new Sidecars();
        var (web, _) = await mesh.PairAsync(await NghttpdAsync(mesh), "http2");
        var said = await Peer.RunAsync(
            Nghttp, mesh.File("."), "-v", "-n", "-b", "200", "-w", "14", "-W", "15", "--continuation", "-m", "20", "--header-table-size=100", $"http://{web.EndPoint}/small");
        Assert.DoesNotContain("recv GOAWAY", said);
        Assert.DoesNotContain("recv RST_STREAM", said);
        Assert.Equal(20, said.Split(":status: 200").Length - 1);
    }

    [Theory]
    [InlineData("http2", "5000", "2", "50", "/small")]
    [InlineData("http2", "40", "2", "5", "/large")]
    [InlineData("auto", "2000", "4", "100", "/small")]
    public async Task H2load_gets_every_response(string protocol, string requests, string clients, string streams, string path)
    {
        await using var mesh = new Sidecars();
        var (web, orders) = await mesh.PairAsync(await NghttpdAsync(mesh), protocol);
        var said = await Peer.RunAsync(H2load, mesh.File("."), "-n", requests, "-c", clients, "-m", streams, $"http://{web.EndPoint}{path}");
        Assert.Contains($"{requests} succeeded, 0 failed, 0 errored, 0 timeout", said);
        Assert.Contains($"{requests} 2xx", said);
        await Eventually.IsTrueAsync(() => Requests(orders).Count() == int.Parse(requests), "a line for each");
        Assert.All(Requests(orders), request => Assert.Equal("2", request.GetProperty("version").GetString()));
    }

    [Fact]
    public async Task Python_calls_by_gRPC_and_notices_nothing()
    {
        await using var server = await RpcTestServer.StartAsync();
        server.Health.Set("", ServingStatus.Serving);
        await PythonStubs.CompileAsync(server.FolderPath);
        await using var mesh = new Sidecars();
        var (web, orders) = await mesh.PairAsync(server.PlainEndPoint, "grpc");
        var output = await Peer.RunAsync(PythonStubs.Python, server.FolderPath, Path.Combine(Peer.Scripts, "grpc_client.py"), $"127.0.0.1:{web.EndPoint.Port}");
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => orders.Log().Any(line => line.GetProperty("response").TryGetProperty("grpcStatus", out var status) && status.GetInt32() == 7), "the refusal's status is logged");
    }

    /// <summary>Those that are logged; connections that were opened to see whether somebody listens have lines too.</summary>
    private static IEnumerable<System.Text.Json.JsonElement> Requests(Sidecar sidecar) =>
        sidecar.Log().Select(line => line.TryGetProperty("request", out var request) ? request : default).Where(request => request.ValueKind == System.Text.Json.JsonValueKind.Object);

    /// <summary>A server that sends files, and echoes what is posted to it.</summary>
    private static async Task<IPEndPoint> NghttpdAsync(Sidecars mesh)
    {
        Directory.CreateDirectory(mesh.File("htdocs"));
        Content.WriteFile(mesh.File("htdocs/large"), Large);
        Content.WriteFile(mesh.File("htdocs/small"), 200);
        var port = Sidecars.Port();
        await mesh.StartAsync(Nghttpd, ["--no-tls", "--echo-upload", "-a", "127.0.0.1", "-d", mesh.File("htdocs"), $"{port}"], port);
        return new IPEndPoint(IPAddress.Loopback, port);
    }
}
