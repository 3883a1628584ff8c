using Signet.Proxy;
using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>Sessions that many streams share, spread over the places that there are.</summary>
public sealed class SessionPoolTests : IAsyncDisposable
{
    private readonly ManualTimeProvider _time = new();
    private readonly List<Http2Connection> _servers = [];
    private readonly List<MemoryTransport> _transports = [];
    private readonly List<Task> _ends = [];
    private readonly SessionPool<string> _pool;
    private int _dials;
    private bool _fails;

    public SessionPoolTests() => _pool = new(new() { Http2 = new Http2Options { Time = _time }, MaxSessions = 4 });

    [Fact]
    public async Task Streams_share_one_session_where_there_is_one_place()
    {
        for (var i = 0; i < 20; i++)
        {
            await OpenAsync(width: 1);
        }

        Assert.Single(_servers);
    }

    [Fact]
    public async Task Streams_are_spread_evenly_over_the_places_that_there_are()
    {
        for (var i = 0; i < 30; i++)
        {
            await OpenAsync(width: 3);
        }

        Assert.Equal(3, _servers.Count);
        Assert.All(_servers, server => Assert.InRange(server.OpenStreams, 8, 12));
    }

    [Fact]
    public async Task One_stream_at_a_time_needs_one_session_however_many_places_there_are()
    {
        for (var i = 0; i < 10; i++)
        {
            await (await OpenAsync(width: 3)).DisposeAsync();
        }

        Assert.Single(_servers);
    }

    [Fact]
    public async Task Another_place_that_cannot_be_reached_fails_nobody_and_is_tried_again_after_a_while()
    {
        await OpenAsync(width: 2);
        _fails = true;
        for (var i = 0; i < 10; i++)
        {
            await OpenAsync(width: 2);
        }

        Assert.Equal(2, _dials);
        _fails = false;
        _time.Advance(TimeSpan.FromSeconds(6));
        await OpenAsync(width: 2);
        await OpenAsync(width: 2);
        Assert.Equal((3, 2), (_dials, _servers.Count));
    }

    [Fact]
    public async Task Who_needs_the_first_session_is_told_why_there_is_none()
    {
        _fails = true;
        var (session, failure) = await _pool.TakeAsync("orders", 1, DialAsync, default);
        Assert.Null(session);
        Assert.Equal((RefusalReason.UpstreamConnectFailed, "nobody is there", "10.0.0.9:1"), (failure!.Reason, failure.Detail, failure.Endpoint));
    }

    [Fact]
    public async Task A_session_that_drains_gets_no_stream_and_keeps_those_it_has()
    {
        var first = await OpenAsync(width: 1);
        _servers[0].Drain();
        await OpenAsync(width: 1);
        Assert.Equal(2, _servers.Count);
        Assert.Equal(1, _servers[0].OpenStreams);
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

    private async Task<Http2Stream> OpenAsync(int width)
    {
        var (session, failure) = await _pool.TakeAsync("orders", width, DialAsync, default);
        Assert.Null(failure);
        Assert.True(session!.Connection.TryOpen(Http2Pair.Get(), endStream: false, out var stream, out _));
        return stream!;
    }

    private Task<SessionDial> DialAsync(CancellationToken cancellationToken)
    {
        _dials++;
        if (_fails)
        {
            return Task.FromResult<SessionDial>(new SessionDial.Failed(RefusalReason.UpstreamConnectFailed, "nobody is there", "10.0.0.9:1"));
        }

        var (near, far) = MemoryTransport.Pair();
        var server = Http2Connection.AsServer(far, new Http2Options { Time = _time }, Http2Pair.HoldAsync);
        _servers.Add(server);
        _transports.Add(far);
        _ends.Add(server.RunAsync(CancellationToken.None));
        return Task.FromResult<SessionDial>(new SessionDial.Connected(near, null, "10.0.0.9:1"));
    }
}
