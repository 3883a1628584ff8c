using Grpc.Core;
using Signet.Rpc;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Rpc;

public sealed class CallTests
{
    public enum Transport
    {
        UnixSocket,
        MutualTls,
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.MutualTls)]
    public async Task Answers_one_request_with_one_response(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        var reply = await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Text = "hello" });
        Assert.Equal("hello", reply.Text);
    }

    private static GrpcChannel Channel(RpcTestServer server, Transport transport, GrpcChannelOptions? options = null) =>
        transport == Transport.UnixSocket ? server.UnixChannel(options: options) : server.TlsChannel(options: options);
}
