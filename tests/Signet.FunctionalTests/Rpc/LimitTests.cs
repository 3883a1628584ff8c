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
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel(options: new GrpcChannelOptions { MaxSendMessageLength = 64 * MiB });
        using var call = new Echo.EchoClient(channel).Collect();
        var first = call.RequestStream.WriteAsync(new EchoRequest { Behaviour = Behaviour.Stubborn, Payload = Bytes(3 * MiB) });
        var second = call.RequestStream.WriteAsync(new EchoRequest { Payload = Bytes(3 * MiB) });
        var outcomes = await Task.WhenAll(Outcome(first), Outcome(second));
        if (!outcomes.Contains(null))
        {
            Assert.Fail($"one write should have gone through: {outcomes[0]} {outcomes[1]}");
        }

        Assert.Contains(outcomes, outcome => outcome is null or InvalidOperationException);

        static async Task<Exception?> Outcome(Task task)
        {
            try
            {
                await task;
                return null;
            }
            catch (Exception e)
            {
                return e;
            }
        }
    }

    [Fact]
    public async Task Nothing_can_be_written_after_completion()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        using var call = new Echo.EchoClient(channel).Chat();
        await call.RequestStream.CompleteAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => call.RequestStream.WriteAsync(new EchoRequest()));
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
    }
}
