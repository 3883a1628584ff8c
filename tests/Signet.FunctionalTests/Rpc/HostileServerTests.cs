using System.Net.Sockets;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Signet.Rpc;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Rpc;

/// <summary>Our client against servers that break the protocol, or break.</summary>
public sealed class HostileServerTests
{
    private static readonly byte[] EmptyMessage = [0, 0, 0, 0, 0];

    public static TheoryData<string, StatusCode> Misdeeds => new()
    {
        { "no status", StatusCode.Internal },
        { "undefined status", StatusCode.Unknown },
        { "no number", StatusCode.Unknown },
        { "no message", StatusCode.Internal },
        { "two messages", StatusCode.Internal },
        { "half a message", StatusCode.Internal },
        { "compressed", StatusCode.Internal },
        { "not protobuf", StatusCode.Internal },
        { "four gigabytes", StatusCode.ResourceExhausted },
        { "html", StatusCode.Unknown },
        { "busy", StatusCode.Unavailable },
        { "reset", StatusCode.Internal },
    };

    [Theory]
    [MemberData(nameof(Misdeeds))]
    public async Task A_misdeed_ends_the_call_with_a_status(string misdeed, StatusCode expected)
    {
        var folder = Directory.CreateTempSubdirectory("signet-rpc-");
        var path = Path.Combine(folder.FullName, "s");
        await using (var app = await StartAsync(path, misdeed))
        {
            using var channel = GrpcChannel.ForUnixSocket(path, TimeProvider.System);
            var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest()));
            Assert.Equal(expected, failure.StatusCode);
        }

        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Metadata_that_can_not_be_read_is_left_out_and_the_rest_stays()
    {
        var folder = Directory.CreateTempSubdirectory("signet-rpc-");
        var path = Path.Combine(folder.FullName, "s");
        await using (var app = await StartAsync(path, "bad metadata"))
        {
            using var channel = GrpcChannel.ForUnixSocket(path, TimeProvider.System);
            using var call = new Echo.EchoClient(channel).UnaryAsync(new EchoRequest());
            await call;
            Assert.Equal("kept", Assert.Single(call.GetTrailers()).Value);
        }

        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_server_that_falls_silent_is_given_up()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var relay = new Relay(server.SocketPath, Path.Combine(server.FolderPath, "relay.sock"));
        var second = TimeSpan.FromSeconds(1);
        using var channel = GrpcChannel.ForUnixSocket(
            relay.Path, TimeProvider.System, new GrpcChannelOptions { KeepAliveInterval = second, KeepAliveTimeout = second });
        using var call = new Echo.EchoClient(channel).Repeat(new EchoRequest { Count = 1, Behaviour = EchoRequest.Types.Behaviour.Hang });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        relay.Freeze();
        var failure = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
    }

    private static async Task<WebApplication> StartAsync(string path, string misdeed)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(path, listen => listen.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.Run(http => MisbehaveAsync(http, misdeed));
        await app.StartAsync();
        return app;
    }

    private static async Task MisbehaveAsync(HttpContext http, string misdeed)
    {
        var response = http.Response;
        response.ContentType = misdeed == "html" ? "text/html" : "application/grpc";
        response.StatusCode = misdeed == "busy" ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        byte[] body = misdeed switch
        {
            "no message" => [],
            "two messages" => [.. EmptyMessage, .. EmptyMessage],
            "half a message" => [0, 0, 0, 0, 9, 1],
            "compressed" => [1, 0, 0, 0, 0],
            "not protobuf" => [0, 0, 0, 0, 1, 255],
            "four gigabytes" => [0, 255, 255, 255, 255],
            _ => EmptyMessage,
        };
        await response.BodyWriter.WriteAsync(body);
        if (misdeed == "reset")
        {
            http.Abort();
            return;
        }

        if (misdeed == "bad metadata")
        {
            response.AppendTrailer("broken-bin", "*");
            response.AppendTrailer("x-good", "kept");
        }

        if (misdeed != "no status")
        {
            response.AppendTrailer("grpc-status", misdeed switch
            {
                "undefined status" => "99",
                "no number" => "fine",
                _ => "0",
            });
        }
    }

    /// <summary>Carries bytes between two sockets until it is told to stop without telling anyone.</summary>
    private sealed class Relay : IDisposable
    {
        private readonly Socket _listener = NewSocket();
        private readonly List<Socket> _sockets = [];
        private volatile bool _frozen;

        public Relay(string server, string path)
        {
            Path = path;
            _listener.Bind(new UnixDomainSocketEndPoint(path));
            _listener.Listen();
            Running = RunAsync(server);
        }

        public string Path { get; }

        private Task Running { get; }

        public void Freeze() => _frozen = true;

        public void Dispose()
        {
            _listener.Dispose();
            _sockets.ForEach(socket => socket.Dispose());
        }

        private static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        private async Task RunAsync(string server)
        {
            var client = await _listener.AcceptAsync();
            var onward = NewSocket();
            _sockets.AddRange([client, onward]);
            await onward.ConnectAsync(new UnixDomainSocketEndPoint(server));
            await Task.WhenAll(CopyAsync(client, onward), CopyAsync(onward, client));
        }

        private async Task CopyAsync(Socket from, Socket to)
        {
            var buffer = new byte[4096];
            int count;
            while ((count = await from.ReceiveAsync(buffer)) > 0)
            {
                if (!_frozen)
                {
                    await to.SendAsync(buffer.AsMemory(0, count));
                }
            }
        }
    }
}
