using Google.Protobuf;
using Grpc.Core;
using Signet.Rpc;
using Signet.Testing.Rpc;
using Behaviour = Signet.Testing.Rpc.EchoRequest.Types.Behaviour;

namespace Signet.InteropTests.Rpc;

/// <summary>Our client against a server nobody here wrote.</summary>
public sealed class ForeignServerTests
{
    [Fact]
    public async Task A_python_server_is_understood()
    {
        var folder = Directory.CreateTempSubdirectory("signet-rpc-");
        await PythonStubs.CompileAsync(folder.FullName);
        var socket = Path.Combine(folder.FullName, "rpc.sock");
        using var server = Peer.Start(PythonStubs.Python, folder.FullName, Path.Combine(Peer.Scripts, "grpc_server.py"), $"unix:{socket}");
        try
        {
            using var patience = new CancellationTokenSource(Peer.Patience);
            Assert.Equal("ready", await server.StandardOutput.ReadLineAsync(patience.Token));
            using var channel = GrpcChannel.ForUnixSocket(socket, TimeProvider.System);
            await CheckAsync(new Echo.EchoClient(channel));
        }
        finally
        {
            Peer.Kill(server);
            await server.WaitForExitAsync();
            folder.Delete(recursive: true);
        }
    }

    private static async Task CheckAsync(Echo.EchoClient client)
    {
        // Unary, with metadata each way.
        using var unary = client.UnaryAsync(
            new EchoRequest { Text = "hello", Behaviour = Behaviour.HeadersFirst }, new Metadata { { "x-plain", "text" }, { "raw-bin", [0, 1, 255] } });
        var early = await unary.ResponseHeadersAsync;
        Assert.Equal("yes", early.GetValue("x-early"));
        Assert.Equal([7, 8], early.GetValueBytes("early-bin"));
        var reply = await unary;
        Assert.Equal("text", reply.Headers["x-plain"]);
        Assert.Equal("0001FF", reply.Headers["raw-bin"]);
        Assert.Equal("last", unary.GetTrailers().GetValue("x-trailer"));

        // Refusals and failures.
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Refuse }));
        Assert.Equal(StatusCode.PermissionDenied, refusal.StatusCode);
        Assert.Equal(EchoService.Refusal, refusal.Status.Detail);
        Assert.Equal(EchoService.RefusalDetail, refusal.Trailers.GetValueBytes("detail-bin"));
        Assert.Equal(StatusCode.Unknown, await FailureOf(client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Throw })));
        Assert.Equal(
            StatusCode.DeadlineExceeded,
            await FailureOf(client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Hang }, deadline: DateTime.UtcNow.AddMilliseconds(300))));

        // Streams.
        using (var repeat = client.Repeat(new EchoRequest { Count = 1000 }))
        {
            var count = 0;
            await foreach (var each in repeat.ResponseStream.ReadAllAsync())
            {
                Assert.Equal(count++, each.Count);
            }

            Assert.Equal(1000, count);
        }

        using (var collect = client.Collect())
        {
            for (var i = 0; i < 100; i++)
            {
                await collect.RequestStream.WriteAsync(new EchoRequest { Payload = ByteString.CopyFrom(new byte[100_000]) });
            }

            await collect.RequestStream.CompleteAsync();
            Assert.Equal("10000000", (await collect).Text);
        }

        using (var chat = client.Chat())
        {
            for (var i = 0; i < 100; i++)
            {
                await chat.RequestStream.WriteAsync(new EchoRequest { Text = $"{i}" });
                Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
                Assert.Equal($"{i}", chat.ResponseStream.Current.Text);
            }

            await chat.RequestStream.CompleteAsync();
            Assert.False(await chat.ResponseStream.MoveNext(CancellationToken.None));
        }

        // Limits of either side.
        Assert.Equal(
            StatusCode.ResourceExhausted, await FailureOf(client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Big, Count = 5 * 1024 * 1024 })));
    }

    private static async Task<StatusCode> FailureOf(AsyncUnaryCall<EchoReply> call) =>
        (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode;
}
