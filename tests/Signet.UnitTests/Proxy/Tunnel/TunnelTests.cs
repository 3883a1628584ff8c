using Signet.Proxy;
using Signet.Proxy.Http2;
using Signet.Proxy.Transport;
using Signet.Proxy.Tunnel;
using Signet.Testing;
using Signet.UnitTests.Proxy.Http2;

namespace Signet.UnitTests.Proxy.Tunnel;

public sealed class TunnelTests : IAsyncDisposable
{
    private static readonly TunnelKey Orders = new(null, "10.0.0.9:15006", "spiffe://example.org/orders");

    private readonly ManualTimeProvider _time = new();
    private readonly List<TunnelServer> _servers = [];
    private readonly List<MemoryTransport> _transports = [];
    private readonly List<Task<Http2End>> _ends = [];
    private readonly List<TunnelRequest> _asked = [];
    private Func<TunnelRequest, ValueTask<TunnelAnswer>> _authorise = _ => new(new TunnelAnswer.Permitted(EchoAsync));
    private Func<Http2Options, Http2Options> _serverOptions = options => options;
    private SessionDial.Failed? _failure;
    private TunnelPool? _pool;

    private TunnelPool Pool => _pool ??= new TunnelPool(new TunnelOptions { Http2 = new Http2Options { Time = _time }, MaxTunnels = 3 });

    [Fact]
    public async Task Connections_of_the_same_key_share_a_tunnel()
    {
        var streams = await OpenAsync(50);
        foreach (var (stream, i) in streams.Select((stream, i) => (stream, i)))
        {
            await RoundTripAsync(stream, 1000 * i);
        }

        Assert.Single(_servers);
        Assert.Equal(1, Pool.Tunnels);
        Assert.All(_asked, asked => Assert.Equal(("10.0.0.9", 8080), (asked.Host, asked.Port)));
    }

    [Fact]
    public async Task Another_key_gets_another_tunnel()
    {
        await OpenAsync(1);
        await OpenAsync(1, Orders with { Endpoint = "10.0.0.10:15006" });
        await OpenAsync(1, Orders with { Expected = "spiffe://example.org/billing" });
        await OpenAsync(1);
        Assert.Equal(3, _servers.Count);
    }

    [Fact]
    public async Task Those_who_come_at_once_wait_for_one_dial()
    {
        var dialled = new TaskCompletionSource();
        var opening = Enumerable.Range(0, 20).Select(_ => Pool.ConnectAsync(Orders, async token =>
        {
            await dialled.Task;
            return await DialAsync(token);
        }, "10.0.0.9:8080", [], default)).ToList();
        dialled.SetResult();
        Assert.All(await Task.WhenAll(opening), outcome => Assert.IsType<TunnelOutcome.Opened>(outcome));
        Assert.Single(_servers);
    }

    [Fact]
    public async Task A_full_tunnel_gets_another_beside_it_up_to_a_limit()
    {
        _serverOptions = options => options with { MaxConcurrentStreams = 2 };
        var streams = await OpenAsync(6);
        Assert.Equal(3, _servers.Count);
        var refused = Assert.IsType<TunnelOutcome.Failed>(await ConnectAsync());
        Assert.Equal(RefusalReason.UpstreamConnectFailed, refused.Reason);
        Assert.Contains("full", refused.Detail);

        // And one that ends makes room.
        await RoundTripAsync(streams[0], 10);
        await OpenAsync(1);
        Assert.Equal(3, _servers.Count);
    }

    [Theory]
    [InlineData(403)]
    [InlineData(503)]
    public async Task A_refused_connection_says_its_status_and_costs_the_others_nothing(int status)
    {
        var other = (await OpenAsync(1))[0];
        _authorise = _ => new(new TunnelAnswer.Refused(status));
        Assert.Equal(status, Assert.IsType<TunnelOutcome.Refused>(await ConnectAsync()).Status);
        await RoundTripAsync(other, 5000);
        Assert.Single(_servers);
    }

    [Fact]
    public async Task Every_connection_is_decided_by_itself()
    {
        _authorise = asked => new(asked.Port == 8080 ? new TunnelAnswer.Permitted(EchoAsync) : new TunnelAnswer.Refused(403));
        Assert.IsType<TunnelOutcome.Opened>(await ConnectAsync("10.0.0.9:8080"));
        Assert.IsType<TunnelOutcome.Refused>(await ConnectAsync("10.0.0.9:9090"));
        Assert.IsType<TunnelOutcome.Opened>(await ConnectAsync("10.0.0.9:8080"));
        Assert.Single(_servers);
    }

    [Fact]
    public async Task What_was_opened_for_a_connection_is_let_go_when_the_peer_gave_up_meanwhile()
    {
        var (asked, decided, relayed) = (new TaskCompletionSource(), new TaskCompletionSource(), new TaskCompletionSource());
        _authorise = async _ =>
        {
            asked.SetResult();
            await decided.Task;
            return new TunnelAnswer.Permitted(_ =>
            {
                relayed.SetResult();
                return Task.CompletedTask;
            });
        };
        using var patience = new CancellationTokenSource();
        var connecting = Pool.ConnectAsync(Orders, DialAsync, "10.0.0.9:8080", [], patience.Token);
        await asked.Task;
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);

        decided.SetResult();

        await relayed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_dial_that_fails_fails_whoever_waited_and_the_next_one_tries_again()
    {
        _failure = new(RefusalReason.UpstreamConnectFailed, "10.0.0.9:15006: connection refused");
        Assert.Equal("10.0.0.9:15006: connection refused", Assert.IsType<TunnelOutcome.Failed>(await ConnectAsync()).Detail);
        _failure = null;
        Assert.IsType<TunnelOutcome.Opened>(await ConnectAsync());
    }

    [Fact]
    public async Task A_peer_that_does_not_speak_http2_fails_with_a_reason()
    {
        var outcome = await Pool.ConnectAsync(Orders, async _ =>
        {
            var (near, far) = MemoryTransport.Pair();
            await far.WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray(), default);
            return new SessionDial.Connected(near, null, Orders.Endpoint);
        }, "10.0.0.9:8080", [], default);
        var failed = Assert.IsType<TunnelOutcome.Failed>(outcome);
        Assert.Equal(RefusalReason.UpstreamClosed, failed.Reason);
        Assert.Equal(0, Pool.Tunnels);
    }

    [Fact]
    public async Task A_draining_tunnel_keeps_its_connections_and_new_ones_go_to_another()
    {
        var old = (await OpenAsync(1))[0];
        _servers[0].Connection.Drain();
        await OpenAsync(1);
        Assert.Equal(2, _servers.Count);
        await RoundTripAsync(old, 50_000);
        Assert.True((await _ends[0]).IsOrderly);
        await Eventually.IsTrueAsync(() => Pool.Tunnels == 1, "the drained tunnel is forgotten");
    }

    [Fact]
    public async Task A_broken_tunnel_breaks_its_connections_and_new_ones_go_to_another()
    {
        var streams = await OpenAsync(3);
        _transports[0].Abort();
        foreach (var stream in streams)
        {
            await Assert.ThrowsAsync<Http2StreamException>(async () => await stream.ReadAsync(new byte[1], default));
        }

        await OpenAsync(1);
        Assert.Equal(2, _servers.Count);
    }

    [Fact]
    public async Task A_connection_that_the_peer_did_not_look_at_is_asked_for_again()
    {
        var first = true;
        _authorise = asked =>
        {
            if (first)
            {
                first = false;
                _servers[0].Connection.Abort("gone");
            }

            return new(new TunnelAnswer.Permitted(EchoAsync));
        };

        // The first tunnel breaks while it decides: nobody knows whether the destination saw the connection, so that is a failure.
        Assert.IsType<TunnelOutcome.Failed>(await ConnectAsync());
        Assert.IsType<TunnelOutcome.Opened>(await ConnectAsync());
        Assert.Equal(2, _servers.Count);
    }

    [Fact]
    public async Task A_refused_stream_is_tried_again_a_few_times_only()
    {
        _serverOptions = options => options with { MaxConcurrentStreams = 1 };
        var release = new TaskCompletionSource();
        _authorise = _ => new(new TunnelAnswer.Permitted(_ => release.Task));
        for (var i = 0; i < 2; i++)
        {
            // The client lets go; the server's handlers have not ended yet, and it runs no more than two.
            await ((TunnelOutcome.Opened)await ConnectAsync()).Stream.DisposeAsync();
        }

        Assert.IsType<TunnelOutcome.Failed>(await ConnectAsync());
        release.SetResult();
        Assert.IsType<TunnelOutcome.Opened>(await ConnectAsync());
    }

    [Fact]
    public async Task An_idle_tunnel_goes_and_a_used_one_stays()
    {
        var used = (await OpenAsync(1))[0];
        var idle = (await OpenAsync(1, Orders with { Expected = "other" }))[0];
        await RoundTripAsync(idle, 10);
        _time.Advance(TimeSpan.FromMinutes(4));
        Pool.Sweep();
        Assert.Equal(2, Pool.Tunnels);
        _time.Advance(TimeSpan.FromMinutes(2));
        Pool.Sweep();
        await Eventually.IsTrueAsync(() => Pool.Tunnels == 1, "the idle tunnel is gone");
        Assert.True((await _ends[1]).IsOrderly);
        await RoundTripAsync(used, 10);
    }

    [Fact]
    public async Task Tunnels_of_an_identity_of_the_past_take_no_more_connections()
    {
        var old = (await OpenAsync(1))[0];
        Pool.Retire(key => key == Orders);
        await OpenAsync(1);
        Assert.Equal(2, _servers.Count);
        await RoundTripAsync(old, 10);
    }

    [Fact]
    public async Task Disposing_breaks_everything()
    {
        var stream = (await OpenAsync(1))[0];
        await Pool.DisposeAsync();
        await Assert.ThrowsAsync<Http2StreamException>(async () => await stream.ReadAsync(new byte[1], default));
        Assert.Equal(0, Pool.Tunnels);
    }

    [Fact]
    public async Task Whoever_gives_up_leaves_the_dial_to_the_others()
    {
        var dialled = new TaskCompletionSource();
        Func<CancellationToken, Task<SessionDial>> dial = async token =>
        {
            await dialled.Task;
            return await DialAsync(token);
        };
        using var cancel = new CancellationTokenSource();
        var givesUp = Pool.ConnectAsync(Orders, dial, "10.0.0.9:8080", [], cancel.Token);
        var waits = Pool.ConnectAsync(Orders, dial, "10.0.0.9:8080", [], default);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => givesUp);
        dialled.SetResult();
        Assert.IsType<TunnelOutcome.Opened>(await waits);
    }

    [Theory]
    [InlineData("10.0.0.9:8080", "10.0.0.9", 8080)]
    [InlineData("orders.production.svc:1", "orders.production.svc", 1)]
    [InlineData("[2001:db8::9]:65535", "2001:db8::9", 65535)]
    public void Reads_a_destination(string authority, string host, int port)
    {
        Assert.True(TunnelRequest.TryParse(Http2RequestHead.Connect(authority, []), out var request, out _));
        Assert.Equal((host, port), (request.Host, request.Port));
    }

    [Theory]
    [InlineData("orders")]
    [InlineData("orders:")]
    [InlineData("orders:0")]
    [InlineData("orders:65536")]
    [InlineData("orders:-1")]
    [InlineData("2001:db8::9:80")]
    [InlineData("[2001:db8::9]")]
    [InlineData(":80")]
    [InlineData("a b:80")]
    public void Refuses_a_destination(string authority) => Assert.False(TunnelRequest.TryParse(Http2RequestHead.Connect(authority, []), out _, out _));

    [Fact]
    public async Task Only_connect_is_understood_in_a_tunnel()
    {
        await using var peer = await RawPeer.OfServerAsync();
        var (near, far) = MemoryTransport.Pair();
        var server = new TunnelServer(far, new Http2Options { Time = _time }, _ => throw new InvalidOperationException("nobody is to be asked"));
        var client = Http2Connection.AsClient(near, new Http2Options { Time = _time });
        var (serverEnd, clientEnd) = (server.Connection.RunAsync(default), client.RunAsync(default));
        Assert.True(client.TryOpen(Http2Pair.Get(), endStream: true, out var get, out _));
        Assert.Equal(405, (await get!.ReadHeadAsync(default)).Status);
        Assert.True(client.TryOpen(Http2RequestHead.Connect("nowhere", []), endStream: false, out var connect, out _));
        Assert.Equal(400, (await connect!.ReadHeadAsync(default)).Status);
        await connect.DisposeAsync();
        client.Drain();
        Assert.True((await clientEnd).IsOrderly);
        Assert.True((await serverEnd).IsOrderly);
    }

    public async ValueTask DisposeAsync()
    {
        await Pool.DisposeAsync();
        foreach (var server in _servers)
        {
            await server.Connection.DisposeAsync();
        }

        await Task.WhenAll(_ends);
    }

    private Task<TunnelOutcome> ConnectAsync(string authority = "10.0.0.9:8080", TunnelKey? key = null) =>
        Pool.ConnectAsync(key ?? Orders, DialAsync, authority, [new("baggage", "k8s.namespace.name=production")], default);

    private async Task<List<Http2Stream>> OpenAsync(int count, TunnelKey? key = null)
    {
        var streams = new List<Http2Stream>();
        for (var i = 0; i < count; i++)
        {
            streams.Add(Assert.IsType<TunnelOutcome.Opened>(await ConnectAsync(key: key)).Stream);
        }

        return streams;
    }

    private Task<SessionDial> DialAsync(CancellationToken cancellationToken)
    {
        if (_failure is not null)
        {
            return Task.FromResult<SessionDial>(_failure);
        }

        var (near, far) = MemoryTransport.Pair();
        var server = new TunnelServer(far, _serverOptions(new Http2Options { Time = _time }), asked =>
        {
            _asked.Add(asked);
            return _authorise(asked);
        });
        _servers.Add(server);
        _transports.Add(far);
        _ends.Add(server.Connection.RunAsync(CancellationToken.None));
        return Task.FromResult<SessionDial>(new SessionDial.Connected(near, null, Orders.Endpoint));
    }

    private static async Task RoundTripAsync(Http2Stream stream, int size)
    {
        var reading = Http2Pair.ReadAllAsync(stream);
        await stream.WriteAsync(Http2Pair.Bytes(size), default);
        await stream.EndWritesAsync(default);
        Assert.Equal(Http2Pair.Bytes(size), await reading);
        await stream.DisposeAsync();
    }

    private static async Task EchoAsync(ITransport transport)
    {
        var buffer = new byte[16_000];
        while (await transport.ReadAsync(buffer, default) is > 0 and var read)
        {
            await transport.WriteAsync(buffer.AsMemory(0, read), default);
        }

        await transport.EndWritesAsync(default);
    }
}
