using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Signet.Rpc;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Rpc;

public sealed class ConnectionTests
{
    [Fact]
    public async Task A_socket_that_is_not_there_is_unavailable_and_named()
    {
        using var channel = GrpcChannel.ForUnixSocket("/nowhere/at-all.sock", TimeProvider.System);
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest()));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Equal("unix:/nowhere/at-all.sock: there is no such socket", failure.Status.Detail);
        using var chat = new Echo.EchoClient(channel).Chat();
        Assert.Equal(
            StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => chat.RequestStream.WriteAsync(new EchoRequest()))).StatusCode);
    }

    [Fact]
    public async Task A_channel_outlives_its_server()
    {
        var first = await RpcTestServer.StartAsync();
        using var channel = first.UnixChannel();
        var client = new Echo.EchoClient(channel);
        Assert.Equal("1", (await client.UnaryAsync(new EchoRequest { Text = "1" })).Text);
        await first.DisposeAsync();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new EchoRequest()))).StatusCode);
        await using var second = await RpcTestServer.StartAsync();
        Directory.CreateDirectory(first.FolderPath);
        File.CreateSymbolicLink(first.SocketPath, second.SocketPath);
        Assert.Equal("2", (await client.UnaryAsync(new EchoRequest { Text = "2" })).Text);
        Directory.Delete(first.FolderPath, recursive: true);
    }

    [Fact]
    public async Task A_server_of_another_authority_is_refused()
    {
        await using var server = await RpcTestServer.StartAsync();
        var others = RpcTestCertificates.Create();
        using var channel = GrpcChannel.ForTls("localhost", server.TlsPort, others.ClientOptions, TimeProvider.System);
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest()));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("certificate", failure.Status.Detail, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_refused()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = GrpcChannel.ForTls(
            "localhost", server.TlsPort, () => server.Certificates.ClientOptions(withCertificate: false), TimeProvider.System);
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest()));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
    }

    [Fact]
    public async Task Each_new_connection_asks_for_its_tls_options()
    {
        await using var server = await RpcTestServer.StartAsync();
        var asked = 0;
        using var channel = GrpcChannel.ForTls("localhost", server.TlsPort, Options, TimeProvider.System);
        var client = new Echo.EchoClient(channel);
        await client.UnaryAsync(new EchoRequest());
        await client.UnaryAsync(new EchoRequest());
        Assert.Equal(1, asked);

        SslClientAuthenticationOptions Options()
        {
            Interlocked.Increment(ref asked);
            return server.Certificates.ClientOptions();
        }
    }

    [Fact]
    public async Task Many_calls_share_one_connection()
    {
        await using var server = await RpcTestServer.StartAsync();
        var asked = 0;
        using var channel = GrpcChannel.ForTls(
            "localhost",
            server.TlsPort,
            () =>
            {
                Interlocked.Increment(ref asked);
                return server.Certificates.ClientOptions();
            },
            TimeProvider.System);
        var client = new Echo.EchoClient(channel);
        await client.UnaryAsync(new EchoRequest());
        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => client.UnaryAsync(new EchoRequest()).ResponseAsync));
        Assert.Equal(1, asked);
    }

    [Theory]
    [InlineData("text/plain", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/grpc-web", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/grpcish", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/grpc+proto", HttpStatusCode.OK)]
    [InlineData("application/grpc; charset=utf-8", HttpStatusCode.OK)]
    public async Task Only_grpc_is_served(string contentType, HttpStatusCode expected)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var response = await PostAsync(server, "/signet.testing.v1.Echo/Unary", contentType, [0, 0, 0, 0, 0]);
        Assert.Equal(expected, response.StatusCode);
    }

    [Theory]
    [InlineData("grpc-timeout", "soon", StatusCode.Internal)]
    [InlineData("grpc-timeout", "123456789S", StatusCode.Internal)]
    [InlineData("grpc-encoding", "gzip", StatusCode.Unimplemented)]
    [InlineData("grpc-encoding", "identity", StatusCode.OK)]
    [InlineData("thing-bin", "*not base64*", StatusCode.Internal)]
    [InlineData("thing-bin", "AAE=, AAE", StatusCode.OK)]
    public async Task A_malformed_header_is_refused_by_name(string name, string value, StatusCode expected)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var response = await PostAsync(server, "/signet.testing.v1.Echo/Unary", "application/grpc", [0, 0, 0, 0, 0], name, value);
        await response.Content.ReadAsByteArrayAsync();
        var headers = response.Headers.Contains("grpc-status") ? response.Headers : response.TrailingHeaders;
        Assert.Equal(((int)expected).ToString(), headers.GetValues("grpc-status").Single());
    }

    [Theory]
    [InlineData(new byte[] { }, StatusCode.Internal)]
    [InlineData(new byte[] { 0, 0, 0, 0 }, StatusCode.Internal)]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 1 }, StatusCode.Internal)]
    [InlineData(new byte[] { 1, 0, 0, 0, 0 }, StatusCode.Internal)]
    [InlineData(new byte[] { 7, 0, 0, 0, 0 }, StatusCode.Internal)]
    [InlineData(new byte[] { 0, 0, 0, 0, 1, 255 }, StatusCode.Internal)]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, StatusCode.Internal)]
    [InlineData(new byte[] { 0, 255, 255, 255, 255 }, StatusCode.ResourceExhausted)]
    public async Task A_malformed_request_is_refused(byte[] body, StatusCode expected)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var response = await PostAsync(server, "/signet.testing.v1.Echo/Unary", "application/grpc", body);
        Assert.Equal(((int)expected).ToString(), response.Headers.GetValues("grpc-status").Single());
        Assert.Empty(server.Log.WithId(1901));
    }

    [Fact]
    public async Task Plain_http_is_not_grpc()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var client = NewHttp(server);
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://localhost/signet.testing.v1.Echo/Unary")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var response = await client.SendAsync(request, CancellationToken.None);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
    }

    private static async Task<HttpResponseMessage> PostAsync(
        RpcTestServer server, string path, string contentType, byte[] body, string? header = null, string? value = null)
    {
        using var client = NewHttp(server);
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://localhost" + path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body) { Headers = { ContentType = MediaTypeHeaderValue.Parse(contentType) } },
        };
        if (header is not null)
        {
            request.Headers.TryAddWithoutValidation(header, value);
        }

        var response = await client.SendAsync(request, CancellationToken.None);
        await response.Content.LoadIntoBufferAsync();
        return response;
    }

    private static HttpMessageInvoker NewHttp(RpcTestServer server) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(server.SocketPath), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });
}
