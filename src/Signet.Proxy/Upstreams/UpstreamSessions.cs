using System.Collections.Concurrent;
using Signet.Proxy.Http2;
using Signet.Proxy.Loop;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// HTTP/2 sessions to one destination, apart on each loop: a session is only ever used for requests of the identity, bundles and policies that
/// it was opened under. Streams are spread over as many sessions as the destination has addresses. Thread-safe.
/// </summary>
internal sealed class UpstreamSessions(IUpstreamDialer dialer, ProxyCore core) : IAsyncDisposable
{
    /// <summary>Streams of one session. So many times their window is what a session keeps at most for clients that are slow, and so they never hold up the others.</summary>
    private const int MaxStreams = 128;

    private const int MaxSessions = 64;

    /// <summary>How long a destination that speaks HTTP/1 only is believed to.</summary>
    private static readonly TimeSpan WithoutHttp2For = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<EventLoop, SessionPool<object>> _pools = new();
    private long _withoutSince;

    /// <summary>Whether the destination may speak HTTP/2, as far as is known.</summary>
    public bool MayTry => Volatile.Read(ref _withoutSince) is var since && (since == 0 || core.Time.GetElapsedTime(since) >= WithoutHttp2For);

    /// <summary>A session for one more stream.</summary>
    /// <param name="loop">Where it lives.</param>
    /// <param name="keep">Takes a connection that turned out to speak HTTP/1 only, with the era that it was opened under.</param>
    /// <param name="cancellationToken">The caller no longer wants it.</param>
    public ValueTask<(SharedSession? Session, SessionDial.Failed? Failure)> TakeAsync(
        EventLoop loop, Func<UpstreamConnection, object, ValueTask> keep, CancellationToken cancellationToken)
    {
        var pool = _pools.GetOrAdd(loop, static (_, core) => new SessionPool<object>(OptionsOf(core)), core);
        var era = dialer.Era;
        return pool.TakeAsync(era, dialer.Width, token => DialAsync(loop, era, keep, token), cancellationToken);
    }

    /// <summary>Lets sessions go that are unused for too long or belong to an identity of the past.</summary>
    public void Sweep()
    {
        var era = dialer.Era;
        foreach (var pool in _pools.Values)
        {
            pool.Retire(key => !ReferenceEquals(key, era));
            pool.Sweep();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pool in _pools.Values)
        {
            await pool.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static SessionPoolOptions OptionsOf(ProxyCore core)
    {
        var http2 = new Http2Options { Time = core.Time, MaxConcurrentStreams = MaxStreams };
        return new() { Http2 = http2 with { MaxBuffered = MaxStreams * http2.StreamWindow }, MaxSessions = MaxSessions };
    }

    private async Task<SessionDial> DialAsync(EventLoop loop, object era, Func<UpstreamConnection, object, ValueTask> keep, CancellationToken cancellationToken)
    {
        var dialled = await dialer.DialAsync(loop, UpstreamUse.Http2, cancellationToken).ConfigureAwait(false);
        if (dialled is DialOutcome.Failed failed)
        {
            return new SessionDial.Failed(failed.Reason, failed.Detail, failed.Endpoint);
        }

        var connection = ((DialOutcome.Connected)dialled).Connection;
        if (!dialer.SpeaksHttp2(connection.Session))
        {
            Volatile.Write(ref _withoutSince, Math.Max(1, core.Time.GetTimestamp()));
            await keep(connection, era).ConfigureAwait(false);
            return new SessionDial.Failed(RefusalReason.UpstreamClosed, $"{connection.Endpoint}: it knows no HTTP/2", connection.Endpoint);
        }

        Volatile.Write(ref _withoutSince, 0);
        return new SessionDial.Connected(connection.Transport, connection.Session, connection.Endpoint, loop.Post);
    }
}
