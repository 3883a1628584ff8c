using System.Net;
using Signet.InteropTests.Http2;
using Signet.InteropTests.Rpc;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Clients and servers that others wrote, with two proxies between them and no notion of that: what a client sees by way of the proxies is what it
/// sees of the server itself.
/// </summary>
public sealed class ForeignHttpTests(Backends backends) : IClassFixture<Backends>
{
    private static readonly string Curl = Peer.Require("/usr/bin/curl", "curl");

    /// <summary>What is compared of an answer besides its octets: what the client could act on.</summary>
    private const string Answer =
        "%{http_code} type=%{content_type} length=%header{content-length} range=%header{content-range} accepts=%header{accept-ranges} tag=%header{etag} modified=%header{last-modified} size=%{size_download}\n";

    private static readonly (string What, string[] Options)[] Questions =
    [
        ("a file", ["/file"]),
        ("its head", ["--head", "/file"]),
        ("the same by HTTP/1.0", ["/file"]),
        ("a part", ["--range", "100-199", "/file"]),
        ("the rest", ["--range", "999000-", "/file"]),
        ("the end", ["--range", "-77", "/file"]),
        ("a part that is not there", ["--range", "9000000-", "/file"]),
        ("what has not changed", ["-H", "If-Modified-Since: Fri, 01 Jan 2027 00:00:00 GMT", "/file"]),
        ("what does not exist", ["/nowhere?a=b%20c"]),
        ("nothing", ["/empty"]),
        ("a method that nobody takes", ["-X", "DELETE", "/file"]),
        ("a post without a body", ["-X", "POST", "-H", "Content-Length: 0", "/nowhere"]),
    ];

    private static readonly (string What, string[] Options)[] Uploads =
    [
        ("with its length", ["--data-binary", "@{file}"]),
        ("in chunks", ["-X", "POST", "-T", "-"]),
        ("after 100 Continue", ["-H", "Expect: 100-continue", "--expect100-timeout", "1", "--data-binary", "@{file}"]),
        ("without waiting for it", ["-H", "Expect:", "--data-binary", "@{file}"]),
    ];

    [Theory]
    [InlineData("nginx")]
    [InlineData("kestrel")]
    [InlineData("node")]
    [InlineData("node HTTP/2")]
    [InlineData("python")]
    [InlineData("python HTTP/1.0")]
    public async Task Curl_sees_what_it_sees_without_proxies(string name)
    {
        var (server, proxy) = backends[name];
        foreach (var (what, options) in Questions)
        {
            var direct = await AskAsync(server, options, name == "node HTTP/2" ? "--http2-prior-knowledge" : "--http1.1");
            foreach (var version in what.Contains("HTTP/1.0", StringComparison.Ordinal) ? ["--http1.0"] : (string[])["--http1.1", "--http2-prior-knowledge"])
            {
                Assert.Equal($"{what}: {direct}", $"{what}: {await AskAsync(proxy, options, version)}");
            }
        }
    }

    [Theory]
    [InlineData("kestrel")]
    [InlineData("node")]
    [InlineData("node HTTP/2")]
    [InlineData("python")]
    [InlineData("python HTTP/1.0")]
    public async Task Curl_gets_back_what_it_sends_in_every_way_of_sending(string name)
    {
        var (_, proxy) = backends[name];
        var sent = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(await File.ReadAllBytesAsync(backends.FilePath)));
        // HTTP/1.0 knows no 100 Continue.
        foreach (var (what, options) in Uploads.Where(upload => name != "python HTTP/1.0" || !upload.What.Contains("100", StringComparison.Ordinal)))
        {
            foreach (var version in (string[])["--http1.1", "--http2-prior-knowledge"])
            {
                var back = backends.Scratch($"back-{Guid.NewGuid():N}");
                string[] all = ["-c", $"exec {Curl} \"$@\" < {backends.FilePath}", "curl", "-sS", "-m", "60", version, "-o", back, "-w", "%{http_code}", .. options.Select(option => option.Replace("{file}", backends.FilePath, StringComparison.Ordinal)), $"http://{proxy}/echo"];
                Assert.Equal($"{what} {version}: 200", $"{what} {version}: {await Peer.RunAsync("/bin/sh", Path.GetTempPath(), all)}");
                Assert.Equal($"{what} {version}: {sent}", $"{what} {version}: {Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(await File.ReadAllBytesAsync(back)))}");
                File.Delete(back);
            }
        }
    }

    [Fact]
    public async Task Curl_keeps_its_connection_whatever_the_server_does_with_its_own()
    {
        foreach (var name in (string[])["nginx", "kestrel", "node", "node HTTP/2", "python", "python HTTP/1.0"])
        {
            var (_, proxy) = backends[name];
            string[] one = ["-o", "/dev/null", $"http://{proxy}/file"];
            Assert.Equal("1000", await Peer.RunAsync(Curl, Path.GetTempPath(), ["-sS", "--http1.1", "-w", "%{num_connects}", .. one, .. one, .. one, .. one]));
        }
    }

    [Theory]
    [InlineData("kestrel")]
    [InlineData("node")]
    [InlineData("node HTTP/2")]
    public async Task H2load_gets_back_every_octet_that_it_posts_on_many_streams(string name)
    {
        var (_, proxy) = backends[name];
        var body = Content.WriteFile(backends.Scratch($"body-{Guid.NewGuid():N}"), 20_000);
        var said = await Peer.RunAsync(Peer.Require("/usr/bin/h2load", "nghttp2-client"), Path.GetTempPath(), "-n", "600", "-c", "3", "-m", "50", "-d", body, $"http://{proxy}/echo");
        Assert.Contains("600 succeeded, 0 failed, 0 errored, 0 timeout", said);
        Assert.Contains("(12000000) data", said);
    }

    [Theory]
    [InlineData("node")]
    [InlineData("node HTTP/2")]
    public async Task Nghttp_sees_trailers_and_early_hints_and_may_send_trailers(string name)
    {
        var (_, proxy) = backends[name];
        var said = await Peer.RunAsync(
            Peer.Require("/usr/bin/nghttp", "nghttp2-client"), Path.GetTempPath(), "-v", "-n", "-d", backends.FilePath, "--trailer", "x-a: b", "-H", ":method: POST", $"http://{proxy}/echo");
        Assert.Contains(":status: 200", said);
        Assert.Contains($"x-sum: {Backends.FileLength}", said);
        said = await Peer.RunAsync("/usr/bin/nghttp", Path.GetTempPath(), "-v", $"http://{proxy}/early");
        Assert.Contains(":status: 103", said);
        Assert.Contains("late", said);
    }

    [Fact]
    public async Task Prometheus_own_reader_finds_the_trace_of_a_slow_request()
    {
        Peer.Require("/usr/lib/python3/dist-packages/prometheus_client/__init__.py", "python3-prometheus-client");
        const string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        var (_, proxy) = backends["nginx"];
        await Peer.RunAsync(Curl, Path.GetTempPath(), "-sS", "-o", "/dev/null", "-H", $"traceparent: 00-{trace}-00f067aa0ba902b7-01", $"http://{proxy}/file");
        using var http = new HttpClient();
        var said = "";
        await Testing.Eventually.IsTrueAsync(
            async () =>
            {
                using var ask = new HttpRequestMessage(HttpMethod.Get, new Uri(backends.WebAdmin, "metrics"));
                ask.Headers.Add("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
                using var metrics = await http.SendAsync(ask);
                Assert.Equal("application/openmetrics-text", metrics.Content.Headers.ContentType!.MediaType);
                var file = backends.Scratch("metrics.txt");
                await File.WriteAllTextAsync(file, await metrics.Content.ReadAsStringAsync());
                said = await Peer.RunAsync("/usr/bin/python3", Path.GetTempPath(), Path.Combine(Peer.Scripts, "open_metrics.py"), file);
                return said.Contains(trace, StringComparison.Ordinal);
            },
            "the exemplar is there");
        Assert.Equal($"signet_proxy_request_duration_seconds_bucket outbound {trace} True True\nTrue families\n", said);
        Assert.Equal("text/plain", (await http.GetAsync(new Uri(backends.WebAdmin, "metrics"))).Content.Headers.ContentType!.MediaType);
    }

    [Theory]
    [InlineData("node")]
    [InlineData("node HTTP/2")]
    public async Task Node_notices_nothing(string name)
    {
        var (_, proxy) = backends[name];
        var output = await Peer.RunAsync("/usr/bin/node", Peer.Scripts, Path.Combine(Peer.Scripts, "http_client.mjs"), $"{proxy}");
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("grpcio", "grpc_bytes.py")]
    [InlineData("grpcio", "grpc_bytes.mjs")]
    [InlineData("grpc-js", "grpc_bytes.py")]
    [InlineData("grpc-js", "grpc_bytes.mjs")]
    public async Task Grpc_of_others_passes_with_a_hundred_megabytes_deadlines_cancellation_and_denials(string server, string client)
    {
        // A hundred megabytes with one of the servers; ten where only the pairing is new.
        var (_, proxy) = backends[server];
        var program = client.EndsWith(".py", StringComparison.Ordinal) ? "/usr/bin/python3" : "/usr/bin/node";
        var output = await Peer.RunAsync(program, Peer.Scripts, Path.Combine(Peer.Scripts, client), "call", $"{proxy}", server == "grpcio" ? "100" : "10");
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("websockets", "ws_client.py")]
    [InlineData("websockets", "ws_client.mjs")]
    [InlineData("kestrel", "ws_client.py")]
    [InlineData("kestrel", "ws_client.mjs")]
    public async Task WebSocket_of_others_passes_with_fragments_pings_closes_and_half_ends(string server, string client)
    {
        var (_, proxy) = backends[server];
        string[] command = client.EndsWith(".py", StringComparison.Ordinal) ? ["/usr/bin/python3"] : ["/usr/bin/node", "--experimental-websocket", "--no-warnings"];
        var output = await Peer.RunAsync(command[0], Peer.Scripts, [.. command[1..], Path.Combine(Peer.Scripts, client), $"{proxy}"]);
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
    }

    private async Task<string> AskAsync(IPEndPoint at, string[] options, string version)
    {
        var body = backends.Scratch($"body-{Guid.NewGuid():N}");
        var said = await Peer.RunAsync(Curl, Path.GetTempPath(), ["-sS", "-m", "30", version, "-o", body, "-w", Answer, .. options[..^1], $"http://{at}{options[^1]}"]);
        var octets = File.Exists(body) && !options.Contains("--head") ? await File.ReadAllBytesAsync(body) : [];
        File.Delete(body);

        // HTTP/2 says by the end of the stream what HTTP/1.1 says by a length of 0.
        return said.Replace("length=0 ", "length= ", StringComparison.Ordinal) + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(octets));
    }
}
