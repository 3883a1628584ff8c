using Google.Protobuf;
using Grpc.Core;
using Signet.Hosting.Grpc;
using Signet.Rpc;
using Signet.Testing;
using Signet.Testing.Rpc;
using Behaviour = Signet.Testing.Rpc.EchoRequest.Types.Behaviour;

namespace Signet.FunctionalTests.Rpc;

/// <summary>Our client against our server, over both transports.</summary>
public sealed class CallTests
{
    public enum Transport
    {
        UnixSocket,
        MutualTls,
    }

    public static TheoryData<Transport> Transports => [Transport.UnixSocket, Transport.MutualTls];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Answers_one_request_with_one_response(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        var reply = await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Text = "hello" });
        Assert.Equal("hello", reply.Text);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Answers_many_requests_with_one_response(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        using var call = new Echo.EchoClient(channel).Collect();
        var payload = Bytes(100_000);
        for (var i = 0; i < 100; i++)
        {
            await call.RequestStream.WriteAsync(new EchoRequest { Payload = payload });
        }

        await call.RequestStream.CompleteAsync();
        var reply = await call;
        Assert.Equal(100, reply.Count);
        Assert.Equal("10000000", reply.Text);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Answers_one_request_with_many_responses_in_order(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        using var call = new Echo.EchoClient(channel).Repeat(new EchoRequest { Text = "again", Count = 1000 });
        var counts = new List<int>();
        await foreach (var reply in call.ResponseStream.ReadAllAsync())
        {
            counts.Add(reply.Count);
        }

        Assert.Equal(Enumerable.Range(0, 1000), counts);
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Talks_both_ways_in_lock_step(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        using var call = new Echo.EchoClient(channel).Chat();
        for (var i = 0; i < 100; i++)
        {
            await call.RequestStream.WriteAsync(new EchoRequest { Text = $"{i}" });
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal($"{i}", call.ResponseStream.Current.Text);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Fact]
    public async Task Keeps_many_calls_on_one_channel_apart()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var client = new Echo.EchoClient(channel);
        await Parallel.ForAsync(0, 500, async (i, _) =>
        {
            var reply = await client.UnaryAsync(new EchoRequest { Text = $"{i}", Payload = Bytes(i * 10) });
            Assert.Equal($"{i}", reply.Text);
            Assert.Equal(i * 10, reply.Payload.Length);
        });
    }

    [Fact]
    public async Task Blocks_for_a_caller_who_wants_to()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var client = new Echo.EchoClient(channel);
        Assert.Equal("now", client.Unary(new EchoRequest { Text = "now" }).Text);
        Assert.Equal(
            StatusCode.PermissionDenied,
            Assert.Throws<RpcException>(() => client.Unary(new EchoRequest { Behaviour = Behaviour.Refuse })).StatusCode);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Carries_metadata_both_ways(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        var headers = new Metadata { { "X-Plain", "some text, with a comma" }, { "raw-bin", [0, 1, 255] }, { "empty-bin", [] } };
        using var call = new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Behaviour = Behaviour.HeadersFirst }, headers);
        var early = await call.ResponseHeadersAsync;
        Assert.Equal("yes", early.GetValue("x-early"));
        Assert.Equal([7, 8], early.GetValueBytes("early-bin"));
        var reply = await call;
        Assert.Equal("some text, with a comma", reply.Headers["x-plain"]);
        Assert.Equal("0001FF", reply.Headers["raw-bin"]);
        Assert.Equal("", reply.Headers["empty-bin"]);
        Assert.Equal("last", call.GetTrailers().GetValue("x-trailer"));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_refusal_keeps_its_code_its_text_and_its_trailers(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        var refusal = await Assert.ThrowsAsync<RpcException>(
            async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Behaviour = Behaviour.Refuse }));
        Assert.Equal(StatusCode.PermissionDenied, refusal.StatusCode);
        Assert.Equal(EchoService.Refusal, refusal.Status.Detail);
        Assert.Equal("policy", refusal.Trailers.GetValue("x-why"));
        Assert.Equal(EchoService.RefusalDetail, refusal.Trailers.GetValueBytes("detail-bin"));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_refusal_after_messages_comes_after_the_messages(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        using var call = new Echo.EchoClient(channel).Repeat(new EchoRequest { Count = 3, Behaviour = Behaviour.Refuse });
        for (var i = 0; i < 3; i++)
        {
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        }

        var refusal = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.PermissionDenied, refusal.StatusCode);
        Assert.Equal(EchoService.Refusal, refusal.Status.Detail);
        Assert.Equal("policy", call.GetTrailers().GetValue("x-why"));
    }

    [Fact]
    public async Task A_refusal_in_the_middle_of_requests_reaches_the_writer()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        using var call = new Echo.EchoClient(channel).Chat();
        await call.RequestStream.WriteAsync(new EchoRequest { Behaviour = Behaviour.Refuse });
        var refusal = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (true)
            {
                await call.RequestStream.WriteAsync(new EchoRequest { Payload = Bytes(10_000) });
            }
        });
        Assert.Equal(StatusCode.PermissionDenied, refusal.StatusCode);
        Assert.Equal(
            StatusCode.PermissionDenied,
            (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
    }

    [Fact]
    public async Task A_failure_tells_the_caller_a_reference_and_the_log_the_reason()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var failure = await Assert.ThrowsAsync<RpcException>(
            async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Behaviour = Behaviour.Throw }));
        Assert.Equal(StatusCode.Unknown, failure.StatusCode);
        Assert.DoesNotContain(EchoService.Secret, failure.Message, StringComparison.Ordinal);
        var logged = Assert.Single(server.Log.WithId(1901));
        Assert.Contains(EchoService.Secret, logged, StringComparison.Ordinal);
        Assert.Contains(failure.Status.Detail.Split(' ')[^1], logged, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_method_and_an_unknown_service_are_unimplemented()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var marshaller = Marshallers.Create<EchoRequest>((_, context) => context.Complete([]), _ => new EchoRequest());
        foreach (var (service, method) in new[] { ("signet.testing.v1.Echo", "Nope"), ("signet.testing.v1.Nope", "Unary"), ("signet.testing.v1.Echo", "unary") })
        {
            using var call = channel.CreateCallInvoker().AsyncUnaryCall(
                new Method<EchoRequest, EchoRequest>(MethodType.Unary, service, method, marshaller, marshaller), null, default, new EchoRequest());
            Assert.Equal(StatusCode.Unimplemented, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        }
    }

    [Fact]
    public async Task A_filter_decides_before_the_handler_and_hands_on_what_it_found()
    {
        await using var server = await RpcTestServer.StartAsync(filter: context =>
        {
            context.UserState["who"] = context.RequestHeaders.GetValue("x-who")
                ?? throw new RpcException(new Status(StatusCode.InvalidArgument, "who are you?"));
            return ValueTask.CompletedTask;
        });
        using var channel = server.UnixChannel();
        var client = new Echo.EchoClient(channel);
        Assert.Equal("in", (await client.UnaryAsync(new EchoRequest { Text = "in" }, new Metadata { { "x-who", "me" } })).Text);
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Throw }));
        Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);
        Assert.Empty(server.Log.WithId(1901));
        using var stream = client.Chat();
        Assert.Equal(
            StatusCode.InvalidArgument,
            (await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
    }

    internal static GrpcChannel Channel(RpcTestServer server, Transport transport, TimeProvider? time = null, GrpcChannelOptions? options = null) =>
        transport == Transport.UnixSocket ? server.UnixChannel(time, options) : server.TlsChannel(time, options);

    internal static ByteString Bytes(int length) => UnsafeByteOperations.UnsafeWrap(new byte[length]);
}
