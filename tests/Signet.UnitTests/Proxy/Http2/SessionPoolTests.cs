using Signet.Proxy;
using Signet.Proxy.Http2;
using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>Sessions that many streams share.</summary>
public sealed class SessionPoolTests : IAsyncDisposable
{
    private readonly ManualTimeProvider _time = new();
    private readonly List<Http2Connection> _servers = [];
    private readonly List<MemoryTransport> _transports = [];
    private readonly List<Task> _ends = [];
    private readonly SessionPool<string> _pool;
    private int _ended;
    private bool _fails;
    private TlsSession? _tls;

    public SessionPoolTests() => _pool = new(new() { Http2 = new Http2Options { Time = _time }, MaxSessions = 4 });

    [Fact]
    public async Task Streams_share_one_session()
    {
        for (var i = 0; i < 20; i++)
        {
            await OpenAsync();
        }

        Assert.Single(_servers);
    }

    [Fact]
    public async Task Keys_have_sessions_of_their_own()
    {
        await OpenAsync("orders");
        await OpenAsync("billing");
        Assert.Equal(2, _servers.Count);
        Assert.Equal((true, false), (_pool.Has("orders"), _pool.Has("carts")));
    }

    [Fact]
    public async Task Only_sessions_without_a_stream_are_let_go_to_make_room()
    {
        await OpenAsync("orders");
        await (await OpenAsync("billing")).DisposeAsync();
        _pool.RetireIdle();
        Assert.Equal((true, false), (_pool.Has("orders"), _pool.Has("billing")));
    }

    [Fact]
    public async Task Says_when_a_session_is_over()
    {
        await (await OpenAsync()).DisposeAsync();
        Assert.Equal(0, _ended);
        _pool.RetireIdle();
        await Eventually.IsTrueAsync(() => Volatile.Read(ref _ended) == 1, "its end is told once");
    }

    [Fact]
    public async Task Who_needs_the_first_session_is_told_why_there_is_none()
    {
        _fails = true;
        var (session, failure) = await _pool.TakeAsync("orders", DialAsync, default);
        Assert.Null(session);
        Assert.Equal((RefusalReason.UpstreamConnectFailed, "nobody is there", "10.0.0.9:1"), (failure!.Reason, failure.Detail, failure.Endpoint));
    }

    [Fact]
    public async Task A_session_that_drains_gets_no_stream_and_keeps_those_it_has()
    {
        var first = await OpenAsync();
        _servers[0].Drain();
        await OpenAsync();
        Assert.Equal(2, _servers.Count);
        Assert.Equal(1, _servers[0].OpenStreams);
        await first.DisposeAsync();
    }

    [Theory]
    [InlineData(10, 60)]
    [InlineData(60, 10)]
    public async Task A_session_whose_certificate_is_about_to_end_gets_no_stream_and_keeps_those_it_has(int peerEnds, int ownEnds)
    {
        var (now, svid) = (_time.GetUtcNow(), new TestAuthority(_time.GetUtcNow()).Svid("/a"));
        _tls = new TlsSession(null!, new Peer(svid.Id, svid.Chain, now.AddMinutes(peerEnds)), "TLSv1.3", "TLS_AES_128_GCM_SHA256", null, IsResumed: false) { OwnExpiresAt = now.AddMinutes(ownEnds) };
        var first = await OpenAsync();
        _time.Advance(TimeSpan.FromMinutes(9));
        _pool.Sweep();
        await OpenAsync();
        Assert.Single(_servers);

        _time.Advance(TimeSpan.FromSeconds(57));
        _pool.Sweep();
        _tls = null;
        await OpenAsync();

        Assert.Equal(2, _servers.Count);
        Assert.Equal(2, _servers[0].OpenStreams);
        await first.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _pool.DisposeAsync();
        foreach (var transport in _transports)
        {
            await transport.DisposeAsync();
        }

        await Task.WhenAll(_ends);
    }

    private async Task<Http2Stream> OpenAsync(string key = "orders")
    {
        var (session, failure) = await _pool.TakeAsync(key, DialAsync, default);
        Assert.Null(failure);
        Assert.True(session!.Connection.TryOpen(Http2Pair.Get(), endStream: false, out var stream, out _));
        return stream!;
    }

    private Task<SessionDial> DialAsync(CancellationToken cancellationToken)
    {
        if (_fails)
        {
            return Task.FromResult<SessionDial>(new SessionDial.Failed(RefusalReason.UpstreamConnectFailed, "nobody is there", "10.0.0.9:1"));
        }

        var (near, far) = MemoryTransport.Pair();
        var server = Http2Connection.AsServer(far, new Http2Options { Time = _time }, Http2Pair.HoldAsync);
        _servers.Add(server);
        _transports.Add(far);
        _ends.Add(server.RunAsync(CancellationToken.None));
        return Task.FromResult<SessionDial>(new SessionDial.Connected(near, _tls, "10.0.0.9:1", Ended: () => Interlocked.Increment(ref _ended)));
    }
}
