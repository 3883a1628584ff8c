using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Rpc;
using Signet.Testing;
using Signet.Testing.Rpc;
using Behaviour = Signet.Testing.Rpc.EchoRequest.Types.Behaviour;

namespace Signet.FunctionalTests.Proxy;

/// <summary>gRPC through two proxies: every kind of call, and what becomes of those that are refused.</summary>
public sealed class GrpcTests
{
    private const string NoRepeat = ProxyWorld.Strict + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-repeat, namespace: default}
        spec:
          action: DENY
          rules: [{to: [{operation: {paths: ["/signet.testing.v1.Echo/Repeat"]}}]}]
        """;

    [Fact]
    public async Task Every_kind_of_call_passes_with_its_metadata_trailers_and_failures()
    {
        await using var mesh = await Mesh.StartAsync();
        var reply = mesh.Client.UnaryAsync(new EchoRequest { Text = "hello" }, new Metadata { { "x-plain", "text" }, { "raw-bin", [0, 1, 255] } });
        Assert.Equal("hello", (await reply).Text);
        Assert.Equal("0001FF", (await reply).Headers["raw-bin"]);
        Assert.Equal("last", reply.GetTrailers().GetValue("x-trailer"));

        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await mesh.Client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Refuse }));
        Assert.Equal((StatusCode.PermissionDenied, EchoService.Refusal), (refusal.StatusCode, refusal.Status.Detail));

        using (var collect = mesh.Client.Collect())
        {
            for (var i = 0; i < 100; i++)
            {
                await collect.RequestStream.WriteAsync(new EchoRequest { Payload = Google.Protobuf.ByteString.CopyFrom(new byte[1000]) });
            }

            await collect.RequestStream.CompleteAsync();
            Assert.Equal(("100000", 100), ((await collect).Text, (await collect).Count));
        }

        using (var repeat = mesh.Client.Repeat(new EchoRequest { Text = "r", Count = 1000 }))
        {
            var count = 0;
            await foreach (var one in repeat.ResponseStream.ReadAllAsync())
            {
                Assert.Equal(count++, one.Count);
            }

            Assert.Equal(1000, count);
        }

        using (var chat = mesh.Client.Chat())
        {
            for (var i = 0; i < 50; i++)
            {
                await chat.RequestStream.WriteAsync(new EchoRequest { Text = $"{i}" });
                Assert.True(await chat.ResponseStream.MoveNext(default));
                Assert.Equal($"{i}", chat.ResponseStream.Current.Text);
            }

            await chat.RequestStream.CompleteAsync();
            Assert.False(await chat.ResponseStream.MoveNext(default));
        }

        var line = await mesh.Orders.LoggedAsync(line => StatusOf(line) == 7, "the refusal of the application");
        Assert.Equal(("allow", 200), (line.GetProperty("verdict").GetString(), line.GetProperty("response").GetProperty("code").GetInt32()));
        await Eventually.IsTrueAsync(() => mesh.Orders.Log().Count(line => StatusOf(line) == 0) == 4, "a line with its status for each call that went well");
    }

    [Fact]
    public async Task A_denied_call_ends_with_a_status_that_says_no_more_than_that()
    {
        await using var mesh = await Mesh.StartAsync(NoRepeat);
        using var repeat = mesh.Client.Repeat(new EchoRequest { Count = 1 });
        var denied = await Assert.ThrowsAsync<RpcException>(() => repeat.ResponseStream.MoveNext(default));

        Assert.Equal((StatusCode.PermissionDenied, "denied"), (denied.StatusCode, denied.Status.Detail));
        Assert.Equal("hello", (await mesh.Client.UnaryAsync(new EchoRequest { Text = "hello" })).Text);
        var line = await mesh.Orders.RefusedAsync(RefusalReason.PolicyDenied);
        Assert.Equal(("default/no-repeat", 7, 200), (line.GetProperty("policy").GetString(), StatusOf(line), line.GetProperty("response").GetProperty("code").GetInt32()));
        Assert.Equal(7, StatusOf(await mesh.Web.LoggedAsync(line => StatusOf(line) is not null, "the status on the other side")));
    }

    [Fact]
    public async Task A_new_policy_cuts_the_calls_it_forbids_and_no_others_of_the_same_connection()
    {
        await using var mesh = await Mesh.StartAsync();
        using var repeat = mesh.Client.Repeat(new EchoRequest { Count = 1, Behaviour = Behaviour.Hang });
        using var chat = mesh.Client.Chat();
        using var silent = mesh.Client.Collect();
        Assert.True(await repeat.ResponseStream.MoveNext(default));
        await chat.RequestStream.WriteAsync(new EchoRequest { Text = "before" });
        Assert.True(await chat.ResponseStream.MoveNext(default));
        await silent.RequestStream.WriteAsync(new EchoRequest { Text = "nothing is answered yet" });
        await Eventually.IsTrueAsync(() => mesh.Orders.Proxy.Connections.All.Count(live => live.Protocol == "http") == 3, "three calls are under way");

        mesh.Orders.SetPolicy(NoRepeat.Replace("Echo/Repeat\"", "Echo/Repeat\", \"/signet.testing.v1.Echo/Collect\"", StringComparison.Ordinal));

        // One that was being answered is reset with CANCEL, which callers take for CANCELLED; one that was not still gets an answer.
        var cut = await Assert.ThrowsAsync<RpcException>(() => repeat.ResponseStream.MoveNext(default));
        Assert.Equal(StatusCode.Cancelled, cut.StatusCode);
        var denied = await Assert.ThrowsAsync<RpcException>(async () => await silent);
        Assert.Equal((StatusCode.PermissionDenied, "denied"), (denied.StatusCode, denied.Status.Detail));
        await chat.RequestStream.WriteAsync(new EchoRequest { Text = "after" });
        Assert.True(await chat.ResponseStream.MoveNext(default));
        Assert.Equal("after", chat.ResponseStream.Current.Text);

        var line = await mesh.Orders.LoggedAsync(line => ProxyWorld.Flag(line) == nameof(RefusalReason.PolicyChanged) && line.GetProperty("request").GetProperty("path").GetString()!.EndsWith("/Repeat", StringComparison.Ordinal), "why");
        Assert.Equal("deny", line.GetProperty("verdict").GetString());
        Assert.Contains("default/no-repeat", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_to_an_application_that_is_gone_is_unavailable()
    {
        using var gone = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        gone.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await using var orders = await ProxyWorld.InboundAsync(gone.LocalEndPoint!, ProxyWorld.Strict, AppProtocol.Http2);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        using var channel = Mesh.ChannelTo(web.Outbound);

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest()));
        Assert.Equal((StatusCode.Unavailable, "upstream_unreachable"), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal(14, StatusOf(await orders.RefusedAsync(RefusalReason.UpstreamConnectFailed)));
    }

    [Fact]
    public async Task A_call_that_its_caller_gives_up_is_given_up_at_the_application()
    {
        await using var mesh = await Mesh.StartAsync();
        using var cancel = new CancellationTokenSource();
        using var call = mesh.Client.UnaryAsync(new EchoRequest { Text = "never mind", Behaviour = Behaviour.Hang }, cancellationToken: cancel.Token);
        await mesh.Server.Echo.Hanging.WaitAsync(TimeSpan.FromSeconds(30));
        await cancel.CancelAsync();
        Assert.Equal("never mind", await mesh.Server.Echo.Cancelled.WaitAsync(TimeSpan.FromSeconds(30)));
        await mesh.Orders.RefusedAsync(RefusalReason.ClientLeft);
    }

    [Fact]
    [Proves(RefusalReason.DeadlineExceeded)]
    public async Task A_call_ends_at_its_own_deadline_although_neither_caller_nor_application_ends_it()
    {
        await using var app = await KestrelApp.StartAsync(Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2, context => Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted));
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);

        await peer.RequestAsync(1, true, (":method", "POST"), (":scheme", "http"), (":authority", "orders"), (":path", "/a.B/C"), ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "100m"));
        var head = await peer.HeadAsync(1);
        Assert.Equal(("200", "4", "deadline_exceeded"), (head[":status"], head["grpc-status"], head["grpc-message"]));
        Assert.Equal(4, StatusOf(await orders.RefusedAsync(RefusalReason.DeadlineExceeded)));
        await Eventually.IsTrueAsync(() => app.Aborted.Contains("/a.B/C"), "the application is told");
        Assert.Equal("trailers", Assert.Single(app.Requests).Fields["te"]);
    }

    [Fact]
    public async Task Twenty_megabytes_flow_each_way_in_one_call()
    {
        await using var mesh = await Mesh.StartAsync();
        using var chat = mesh.Client.Chat();
        var payload = new byte[100_000];
        new Random(1).NextBytes(payload);
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < 200; i++)
            {
                await chat.RequestStream.WriteAsync(new EchoRequest { Payload = Google.Protobuf.ByteString.CopyFrom(payload) });
            }

            await chat.RequestStream.CompleteAsync();
        });
        var count = 0;
        await foreach (var reply in chat.ResponseStream.ReadAllAsync())
        {
            Assert.True(reply.Payload.Span.SequenceEqual(payload));
            count++;
        }

        await sending;
        Assert.Equal(200, count);
    }

    private static int? StatusOf(System.Text.Json.JsonElement line) => line.GetProperty("response").TryGetProperty("grpcStatus", out var status) ? status.GetInt32() : null;

    /// <summary>The echo service behind a proxy, and a client behind another.</summary>
    private sealed class Mesh : IAsyncDisposable
    {
        private GrpcChannel _channel = null!;

        public RpcTestServer Server { get; private set; } = null!;

        public ProxyWorld Orders { get; private set; } = null!;

        public ProxyWorld Web { get; private set; } = null!;

        public Echo.EchoClient Client => new(_channel);

        public static async Task<Mesh> StartAsync(string policy = ProxyWorld.Strict)
        {
            var mesh = new Mesh { Server = await RpcTestServer.StartAsync() };
            mesh.Orders = await ProxyWorld.InboundAsync(mesh.Server.PlainEndPoint, policy, AppProtocol.Http2);
            mesh.Web = await ProxyWorld.OutboundAsync([mesh.Orders.Inbound], mesh.Orders.Authority, AppProtocol.Http2);
            mesh._channel = ChannelTo(mesh.Web.Outbound);
            return mesh;
        }

        public static GrpcChannel ChannelTo(IPEndPoint endPoint) => GrpcChannel.ForConnections(
            "orders.default.svc.cluster.local:8080",
            async cancellationToken =>
            {
                var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(endPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
            TimeProvider.System);

        public async ValueTask DisposeAsync()
        {
            _channel.Dispose();
            await Web.DisposeAsync();
            await Orders.DisposeAsync();
            await Server.DisposeAsync();
        }
    }
}
