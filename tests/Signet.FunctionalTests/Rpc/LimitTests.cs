using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Hosting.Grpc;
using Signet.Rpc;
using Signet.Testing.Rpc;
using static Signet.FunctionalTests.Rpc.CallTests;
using Behaviour = Signet.Testing.Rpc.EchoRequest.Types.Behaviour;

namespace Signet.FunctionalTests.Rpc;

public sealed class LimitTests
{
    private const int MiB = 1024 * 1024;

    [Fact]
    public async Task Messages_up_to_the_limit_pass_and_larger_ones_do_not()
    {
        await using var server = await RpcTestServer.StartAsync(options: new GrpcServerOptions { MaxSendMessageLength = 8 * MiB });
        using var channel = server.UnixChannel(options: new GrpcChannelOptions { MaxSendMessageLength = 8 * MiB });
        var client = new Echo.EchoClient(channel);
        Assert.Equal((4 * MiB) - 100, (await client.UnaryAsync(new EchoRequest { Payload = Bytes((4 * MiB) - 100) })).Payload.Length);

        var tooLongForServer = await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new EchoRequest { Payload = Bytes(5 * MiB) }));
        Assert.Equal(StatusCode.ResourceExhausted, tooLongForServer.StatusCode);
        Assert.Contains("4194304", tooLongForServer.Status.Detail, StringComparison.Ordinal);

        var tooLongForClient = await Assert.ThrowsAsync<RpcException>(
            async () => await client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Big, Count = 5 * MiB }));
        Assert.Equal(StatusCode.ResourceExhausted, tooLongForClient.StatusCode);
        Assert.Equal("still well", (await client.UnaryAsync(new EchoRequest { Text = "still well" })).Text);
    }

    [Fact]
    public async Task A_message_too_long_to_send_is_refused_before_a_byte_of_it_leaves()
    {
        await using var server = await RpcTestServer.StartAsync(options: new GrpcServerOptions { MaxSendMessageLength = 1000 });
        using var channel = server.UnixChannel(options: new GrpcChannelOptions { MaxSendMessageLength = 2000 });
        var client = new Echo.EchoClient(channel);
        var fromServer = await Assert.ThrowsAsync<RpcException>(
            async () => await client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Big, Count = 1001 }));
        Assert.Equal(StatusCode.ResourceExhausted, fromServer.StatusCode);
        using var chat = client.Chat();
        var fromClient = await Assert.ThrowsAsync<RpcException>(() => chat.RequestStream.WriteAsync(new EchoRequest { Payload = Bytes(2001) }));
        Assert.Equal(StatusCode.ResourceExhausted, fromClient.StatusCode);

        // The stream is whole: a message that fits still goes through.
        await chat.RequestStream.WriteAsync(new EchoRequest { Text = "small" });
        Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal("small", chat.ResponseStream.Current.Text);
    }

    [Fact]
    public async Task Two_writes_at_once_are_a_mistake_that_is_named()
    {
        // A listener that never shakes hands holds the first write back.
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var port = ((IPEndPoint)silent.LocalEndpoint).Port;
        using var channel = GrpcChannel.ForTls("localhost", port, () => new SslClientAuthenticationOptions(), TimeProvider.System);
        var call = new Echo.EchoClient(channel).Collect();
        var first = call.RequestStream.WriteAsync(new EchoRequest());
        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(new EchoRequest()));
        Assert.False(first.IsCompleted);
        call.Dispose();
        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => first)).StatusCode);
    }

    [Fact]
    public async Task Nothing_can_be_written_after_completion()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        using var call = new Echo.EchoClient(channel).Chat();
        await call.RequestStream.CompleteAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(new EchoRequest()));
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
    }
}
