using System.Collections.Concurrent;
using Signet.Proxy.Http2;
using Signet.Proxy.Loop;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// HTTP/2 sessions to one destination, apart on each loop: a session is only ever used for requests of the identity, bundles and policies that
/// it was opened under. Streams are spread over as many sessions as the destination has addresses. Thread-safe.
/// </summary>
/// <param name="dialer">The way there.</param>
/// <param name="keep">Takes a connection that turned out to speak HTTP/1 only, with the era that it was opened under.</param>
/// <param name="core">The proxy.</param>
internal sealed class UpstreamSessions(IUpstreamDialer dialer, Func<UpstreamConnection, object, ValueTask> keep, ProxyCore core) : IAsyncDisposable
{
    /// <summary>Streams of one session. So many times their window is what a session keeps at most for clients that are slow, and so they never hold up the others.</summary>
    private const int MaxStreams = 128;

    private const int MaxSessions = 64;

    /// <summary>How long a destination that speaks HTTP/1 only is believed to.</summary>
    private static readonly TimeSpan WithoutHttp2For = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<EventLoop, Sessions> _sessions = new();
    private long _withoutSince;

    private ProxyCore Core => core;

    /// <summary>Whether the destination may speak HTTP/2, as far as is known.</summary>
    public bool MayTry => Volatile.Read(ref _withoutSince) is var since && (since == 0 || core.Time.GetElapsedTime(since) >= WithoutHttp2For);

    /// <summary>A session for one more stream, on the loop that wants it.</summary>
    public ValueTask<(SharedSession? Session, SessionDial.Failed? Failure)> TakeAsync(EventLoop loop, CancellationToken cancellationToken)
    {
        var sessions = _sessions.GetOrAdd(loop, static (loop, self) => new Sessions(self, loop), this);
        var era = dialer.Era;
        return sessions.Pool.TakeAsync(era, dialer.Width, sessions.DialFor(era), cancellationToken);
    }

    /// <summary>Lets sessions go that are unused for too long or belong to an identity of the past.</summary>
    public void Sweep()
    {
        var era = dialer.Era;
        foreach (var sessions in _sessions.Values)
        {
            sessions.Pool.Retire(key => !ReferenceEquals(key, era));
            sessions.Pool.Sweep();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var sessions in _sessions.Values)
        {
            await sessions.Pool.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static SessionPoolOptions OptionsOf(ProxyCore core)
    {
        var http2 = new Http2Options { Time = core.Time, MaxConcurrentStreams = MaxStreams };
        return new() { Http2 = http2 with { MaxBuffered = MaxStreams * http2.StreamWindow }, MaxSessions = MaxSessions };
    }

    private async Task<SessionDial> DialAsync(EventLoop loop, object era, CancellationToken cancellationToken)
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

    /// <summary>Those of one loop. The way to a new one is made once per era, not once per request.</summary>
    private sealed class Sessions(UpstreamSessions all, EventLoop loop)
    {
        private (object Era, Func<CancellationToken, Task<SessionDial>> Dial)? _way;

        public SessionPool<object> Pool { get; } = new(OptionsOf(all.Core));

        /// <summary>On the loop's thread only.</summary>
        public Func<CancellationToken, Task<SessionDial>> DialFor(object era)
        {
            if (_way is not { } way || !ReferenceEquals(way.Era, era))
            {
                _way = way = (era, token => all.DialAsync(loop, era, token));
            }

            return way.Dial;
        }
    }
}
