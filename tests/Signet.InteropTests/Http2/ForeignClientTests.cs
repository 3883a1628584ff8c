using System.Net;
using Signet.InteropTests.Rpc;
using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.InteropTests.Http2;

/// <summary>Clients that others wrote, against the server's role.</summary>
public sealed class ForeignClientTests
{
    private const long Large = 100L * 1024 * 1024;
    private static readonly string Nghttp = Peer.Require("/usr/bin/nghttp", "nghttp2-client");
    private static readonly string H2load = Peer.Require("/usr/bin/h2load", "nghttp2-client");
    private static readonly string Curl = Peer.Require("/usr/bin/curl", "curl");

    [Theory]
    [InlineData("20000", "4", "100", "/bytes/64")]
    [InlineData("1000", "1", "1000", "/bytes/1000")]
    [InlineData("200", "2", "10", "/bytes/1000000")]
    [InlineData("2000", "1", "50", "/bytes/0")]
    public async Task H2load_gets_every_response(string requests, string clients, string streams, string path)
    {
        await using var server = new OwnServer();
        var said = await Peer.RunAsync(H2load, Path.GetTempPath(), "-n", requests, "-c", clients, "-m", streams, server.Url(path));
        Assert.Contains($"{requests} succeeded, 0 failed, 0 errored, 0 timeout", said);
        Assert.Contains($"{requests} 2xx", said);
        await Eventually.IsTrueAsync(() => server.Ends.Count() == int.Parse(clients), "the connections ended");
        Assert.All(server.Ends, end => Assert.True(end.IsOrderly, end.Reason));
    }

    [Fact]
    public async Task H2load_posts()
    {
        using var folder = new TestFolder();
        await using var server = new OwnServer();
        var file = Content.WriteFile(Path.Combine(folder.Path, "body"), 100_000);
        var said = await Peer.RunAsync(H2load, folder.Path, "-n", "500", "-c", "2", "-m", "20", "-d", file, server.Url("/echo"));
        Assert.Contains("500 succeeded, 0 failed, 0 errored, 0 timeout", said);
        Assert.Contains("(50000000) data", said);
    }

    [Fact]
    public async Task Nghttp_gets_and_posts()
    {
        using var folder = new TestFolder();
        await using var server = new OwnServer();
        var file = Content.WriteFile(Path.Combine(folder.Path, "body"), 300_000);
        Assert.Equal(Content.HashOf(300_000), (await Peer.RunAsync(Nghttp, folder.Path, "-d", file, "-H", ":method: POST", server.Url("/hash"))).Trim());
        var said = await Peer.RunAsync(Nghttp, folder.Path, "-v", "-n", "--no-dep", server.Url("/trailers"));
        Assert.Contains("x-sum: 4", said);
        Assert.Contains(":status: 103", said);
    }

    [Fact]
    public async Task Nghttp_with_padding_continuations_small_windows_and_a_small_table()
    {
        using var folder = new TestFolder();
        await using var server = new OwnServer();
        var said = await Peer.RunAsync(
            Nghttp, folder.Path, "-v", "-n", "-b", "200", "-w", "14", "-W", "15", "--continuation", "-m", "20", "--header-table-size=100", server.Url("/bytes/200000"));
        Assert.DoesNotContain("recv GOAWAY", said);
        Assert.DoesNotContain("recv RST_STREAM", said);
        Assert.Equal(20, said.Split(":status: 200").Length - 1);
    }

    [Fact]
    public async Task Curl_moves_a_hundred_megabytes_each_way()
    {
        using var folder = new TestFolder();
        await using var server = new OwnServer();
        var file = Content.WriteFile(Path.Combine(folder.Path, "up"), Large);
        var down = Path.Combine(folder.Path, "down");
        await Peer.RunAsync(Curl, folder.Path, "-sS", "--http2-prior-knowledge", "-o", down, server.Url($"/bytes/{Large}"));
        await using (var stream = File.OpenRead(down))
        {
            Assert.Equal(Content.HashOf(Large), await Content.HashOfAsync(stream));
        }

        Assert.Equal(Content.HashOf(Large), await Peer.RunAsync(Curl, folder.Path, "-sS", "--http2-prior-knowledge", "-T", file, server.Url("/hash")));
        await Peer.RunAsync(Curl, folder.Path, "-sS", "--http2-prior-knowledge", "-T", file, "-o", down, server.Url("/echo"));
        await using (var stream = File.OpenRead(down))
        {
            Assert.Equal(Content.HashOf(Large), await Content.HashOfAsync(stream));
        }
    }

    [Fact]
    public async Task Curl_reports_a_reset_as_a_failure()
    {
        await using var server = new OwnServer();
        using var process = Peer.Start(Curl, Path.GetTempPath(), "-sS", "--http2-prior-knowledge", "-o", "/dev/null", server.Url("/reset"));
        var errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(92, process.ExitCode);
        Assert.Contains("HTTP/2 stream", errors);
    }

    [Fact]
    public async Task HttpClient_moves_a_hundred_megabytes_each_way_at_once()
    {
        await using var server = new OwnServer();
        using var client = NewClient();
        using var request = Message(HttpMethod.Post, server.Url("/echo"));
        request.Content = new Duplex(Large);
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var body = await response.Content.ReadAsStreamAsync();
        Assert.Equal(Content.HashOf(Large), await Content.HashOfAsync(body));
    }

    [Fact]
    public async Task HttpClient_runs_a_thousand_streams_on_one_connection()
    {
        await using var server = new OwnServer();
        using var client = NewClient();
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(async i =>
        {
            using var request = Message(HttpMethod.Post, server.Url("/hash"));
            request.Content = new StreamContent(new Content.Source(i * 50));
            using var response = await client.SendAsync(request);
            Assert.Equal(Content.HashOf(i * 50), await response.Content.ReadAsStringAsync());
        }));
        Assert.Single(server.Connections);
    }

    [Fact]
    public async Task HttpClient_reads_trailers()
    {
        await using var server = new OwnServer();
        using var client = NewClient();
        using var response = await client.SendAsync(Message(HttpMethod.Get, server.Url("/trailers")));
        Assert.Equal("body", await response.Content.ReadAsStringAsync());
        Assert.Equal("4", response.TrailingHeaders.GetValues("x-sum").Single());
    }

    [Fact]
    public async Task HttpClient_leaves_at_every_stage_and_the_connection_goes_on()
    {
        await using var server = new OwnServer();
        using var client = NewClient();
        for (var i = 0; i < 30; i++)
        {
            using var cancel = new CancellationTokenSource();
            using var request = Message(HttpMethod.Post, server.Url(i % 2 == 0 ? "/echo" : "/bytes/10000000"));
            request.Content = new Duplex(i % 3 == 0 ? 0 : 1_000_000);
            var sending = client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel.Token);
            if (i % 5 == 0)
            {
                await cancel.CancelAsync();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
                continue;
            }

            // Disposed of after some of the body, or before any.
            using var response = await sending;
            await using var body = await response.Content.ReadAsStreamAsync();
            _ = await body.ReadAsync(new byte[i * 100]);
        }

        using var last = await client.SendAsync(Message(HttpMethod.Get, server.Url("/bytes/1000")));
        Assert.Equal(1000, (await last.Content.ReadAsByteArrayAsync()).Length);
        Assert.Single(server.Connections);
        await Eventually.IsTrueAsync(() => server.Connections.All(connection => connection.OpenStreams == 0), "no stream is left");
    }

    [Fact]
    public async Task HttpClient_loses_no_request_while_the_server_drains()
    {
        await using var server = new OwnServer();
        using var client = NewClient();
        for (var round = 0; round < 10; round++)
        {
            var requests = Enumerable.Range(0, 50).Select(async _ =>
            {
                using var response = await client.SendAsync(Message(HttpMethod.Get, server.Url("/bytes/20000")));
                return (await response.Content.ReadAsByteArrayAsync()).Length;
            }).ToList();
            await Task.WhenAny(requests);
            foreach (var connection in server.Connections)
            {
                connection.Drain();
            }

            Assert.All(await Task.WhenAll(requests), length => Assert.Equal(20_000, length));
        }

        foreach (var connection in server.Connections)
        {
            connection.Drain();
        }

        await Eventually.IsTrueAsync(() => server.Connections.Count > 5 && server.Ends.Count() == server.Connections.Count, "the drained connections ended");
        Assert.All(server.Ends, end => Assert.True(end.IsOrderly, end.Reason));
    }

    /// <summary>A body that is sent while the response is read.</summary>
    private sealed class Duplex(long length) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => new Content.Source(length).CopyToAsync(stream);

        protected override bool TryComputeLength(out long computed)
        {
            computed = 0;
            return false;
        }
    }

    private static HttpClient NewClient() => new(new SocketsHttpHandler { EnableMultipleHttp2Connections = false });

    private static HttpRequestMessage Message(HttpMethod method, string url) =>
        new(method, url) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
}
