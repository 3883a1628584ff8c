using Grpc.Core;
using Signet.Rpc;
using Signet.Testing;
using Signet.Testing.Rpc;
using static Signet.FunctionalTests.Rpc.CallTests;
using Behaviour = Signet.Testing.Rpc.EchoRequest.Types.Behaviour;

namespace Signet.FunctionalTests.Rpc;

/// <summary>Calls that end before they are done: deadlines, callers who leave, servers that stop.</summary>
public sealed class EndingTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Theory]
    [MemberData(nameof(Transports), MemberType = typeof(CallTests))]
    public async Task The_caller_stops_waiting_at_its_deadline_and_the_handler_hears_of_it(Transport transport)
    {
        var time = new ManualTimeProvider();
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport, time);
        using var call = new Echo.EchoClient(channel).UnaryAsync(
            new EchoRequest { Text = "late", Behaviour = Behaviour.Hang }, deadline: time.GetUtcNow().UtcDateTime + Minute);
        await server.Echo.Hanging;
        Assert.False(call.ResponseAsync.IsCompleted);
        time.Advance(Minute);
        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        Assert.Equal(StatusCode.DeadlineExceeded, call.GetStatus().StatusCode);
        Assert.Equal(0, time.WaitingTimers);
        Assert.Equal("late", await server.Echo.Cancelled);
    }

    [Fact]
    public async Task A_deadline_that_has_passed_sends_nothing()
    {
        var time = new ManualTimeProvider();
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel(time);
        var late = await Assert.ThrowsAsync<RpcException>(
            async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest(), deadline: time.GetUtcNow().UtcDateTime - Minute));
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);
        Assert.Empty(server.Log.WithId(1900));
    }

    [Fact]
    public async Task A_deadline_beyond_every_timer_is_no_mistake()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var client = new Echo.EchoClient(channel);
        Assert.Equal("a", (await client.UnaryAsync(new EchoRequest { Text = "a" }, deadline: DateTime.UtcNow.AddYears(50))).Text);
        Assert.Equal("b", (await client.UnaryAsync(new EchoRequest { Text = "b" }, deadline: DateTime.MaxValue.ToUniversalTime())).Text);
    }

    [Fact]
    public async Task The_server_answers_at_the_deadline_even_when_its_handler_does_not_listen()
    {
        var time = new ManualTimeProvider();
        await using var server = await RpcTestServer.StartAsync(time);
        using var channel = server.UnixChannel();
        using var call = new Echo.EchoClient(channel).UnaryAsync(
            new EchoRequest { Behaviour = Behaviour.Stubborn }, new Metadata(), deadline: DateTime.UtcNow.AddHours(1));
        await server.Echo.Hanging;
        time.Advance(TimeSpan.FromHours(1));
        var late = await Assert.ThrowsAsync<RpcException>(async () => await call);
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);
        Assert.False(server.Echo.LetGo.Task.IsCompleted);

        // The handler returns long after its call, which harms nobody.
        server.Echo.LetGo.SetResult();
        Assert.Equal("next", (await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Text = "next" })).Text);
    }

    [Fact]
    public async Task The_servers_deadline_cancels_a_handler_that_listens()
    {
        var time = new ManualTimeProvider();
        await using var server = await RpcTestServer.StartAsync(time);
        using var channel = server.UnixChannel();
        using var call = new Echo.EchoClient(channel).Repeat(
            new EchoRequest { Text = "slow", Count = 1, Behaviour = Behaviour.Hang }, deadline: DateTime.UtcNow.AddHours(1));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(
            StatusCode.DeadlineExceeded,
            (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
        Assert.Equal("slow", await server.Echo.Cancelled);
    }

    [Theory]
    [MemberData(nameof(Transports), MemberType = typeof(CallTests))]
    public async Task A_caller_who_gives_up_cancels_the_handler(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        using var giveUp = new CancellationTokenSource();
        using var call = new Echo.EchoClient(channel).UnaryAsync(
            new EchoRequest { Text = "never mind", Behaviour = Behaviour.Hang }, cancellationToken: giveUp.Token);
        await server.Echo.Hanging;
        await giveUp.CancelAsync();
        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        Assert.Equal("never mind", await server.Echo.Cancelled);
    }

    [Fact]
    public async Task Disposing_a_stream_cancels_its_handler()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var call = new Echo.EchoClient(channel).Chat();
        await call.RequestStream.WriteAsync(new EchoRequest { Text = "bye" });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        call.Dispose();
        Assert.Equal("bye", await server.Echo.Cancelled);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
        Assert.Equal(
            StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
        Assert.Equal(
            StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.RequestStream.WriteAsync(new EchoRequest()))).StatusCode);
    }

    [Fact]
    public async Task Cancelling_one_read_ends_the_call()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        using var call = new Echo.EchoClient(channel).Chat();
        using var giveUp = new CancellationTokenSource();
        var reading = call.ResponseStream.MoveNext(giveUp.Token);
        await call.RequestStream.WriteAsync(new EchoRequest { Text = "x", Behaviour = Behaviour.Hang });
        await server.Echo.Hanging;
        await giveUp.CancelAsync();
        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => reading)).StatusCode);
        Assert.Equal("x", await server.Echo.Cancelled);
    }

    [Fact]
    public async Task Disposing_the_channel_cancels_what_is_under_way()
    {
        await using var server = await RpcTestServer.StartAsync();
        var channel = server.UnixChannel();
        using var call = new Echo.EchoClient(channel).Chat();
        await call.RequestStream.WriteAsync(new EchoRequest { Text = "last words" });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        channel.Dispose();
        Assert.Equal(
            StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
        Assert.Equal("last words", await server.Echo.Cancelled);
        Assert.Throws<ObjectDisposedException>(() => new Echo.EchoClient(channel).UnaryAsync(new EchoRequest()));
    }

    [Theory]
    [MemberData(nameof(Transports), MemberType = typeof(CallTests))]
    public async Task A_stopping_server_ends_its_streams_so_that_callers_go_elsewhere(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        using var call = new Echo.EchoClient(channel).Repeat(new EchoRequest { Text = "long", Count = 1, Behaviour = Behaviour.Hang });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        var reading = call.ResponseStream.MoveNext(CancellationToken.None);
        await server.StopAsync();
        var ending = await Assert.ThrowsAsync<RpcException>(() => reading);
        Assert.Equal(StatusCode.Unavailable, ending.StatusCode);
        Assert.Equal("the server is stopping; try another or try again", ending.Status.Detail);
    }

    [Theory]
    [MemberData(nameof(Transports), MemberType = typeof(CallTests))]
    public async Task A_server_that_breaks_off_is_unavailable(Transport transport)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = Channel(server, transport);
        using var call = new Echo.EchoClient(channel).Collect();
        await call.RequestStream.WriteAsync(new EchoRequest { Behaviour = Behaviour.Stubborn });
        await server.Echo.Hanging;
        await server.StopAsync();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
    }
}
