using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Signet.Proxy.Http2;
using Signet.Proxy.Loop;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// HTTP/2 sessions to one destination, apart on each loop and for each endpoint: a session is only ever used for requests of the identity, bundles
/// and policies that it was opened under. Thread-safe.
/// </summary>
/// <param name="dialer">The way there.</param>
/// <param name="pool">Takes connections that turned out to speak HTTP/1 only, and gives up unused ones when there are too many.</param>
/// <param name="core">The proxy.</param>
internal sealed class UpstreamSessions(IUpstreamDialer dialer, UpstreamPool pool, ProxyCore core) : IAsyncDisposable
{
    /// <summary>Streams of one session. So many times their window is what a session keeps at most for clients that are slow, and so they never hold up the others.</summary>
    private const int MaxStreams = 128;

    private const int MaxSessions = 64;

    /// <summary>
    /// Streams that may be reset in one session every ten seconds, by whichever clients, before the next requests go to a new one. With those that may still be open it stays
    /// below what servers put up with: nghttp2 ends a session after 1,000 and then 33 a second, Kestrel and Go at some hundreds that are still being worked on.
    /// </summary>
    private const int MaxResets = 100;

    /// <summary>How long a destination that speaks HTTP/1 only is believed to.</summary>
    private static readonly TimeSpan WithoutHttp2For = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<EventLoop, Sessions> _sessions = new();
    private long _withoutSince;

    private ProxyCore Core => core;

    /// <summary>Whether the destination may speak HTTP/2, as far as is known.</summary>
    public bool MayTry => Volatile.Read(ref _withoutSince) is var since && (since == 0 || core.Time.GetElapsedTime(since) >= WithoutHttp2For);

    /// <summary>A session for one more stream, on the loop that wants it.</summary>
    public ValueTask<(SharedSession? Session, SessionDial.Failed? Failure)> TakeAsync(EventLoop loop, SessionKey key, CancellationToken cancellationToken)
    {
        var sessions = _sessions.GetOrAdd(loop, static (loop, self) => new Sessions(self, loop), this);
        return sessions.Pool.TakeAsync(key, sessions.DialFor(key), cancellationToken);
    }

    /// <summary>Lets sessions go in which nothing is under way.</summary>
    public void RetireIdle()
    {
        foreach (var sessions in _sessions.Values)
        {
            sessions.Pool.RetireIdle();
        }
    }

    /// <summary>Lets sessions go that are unused for too long or belong to an identity of the past.</summary>
    public void Sweep()
    {
        var era = dialer.Era;
        foreach (var sessions in _sessions.Values)
        {
            sessions.Pool.Retire(key => !ReferenceEquals(key.Era, era));
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
        var http2 = new Http2Options { Time = core.Time, MaxConcurrentStreams = MaxStreams, MaxOwnResets = MaxResets };
        return new() { Http2 = http2 with { MaxBuffered = MaxStreams * http2.StreamWindow }, MaxSessions = MaxSessions };
    }

    private async Task<SessionDial> DialAsync(EventLoop loop, SessionKey key, CancellationToken cancellationToken)
    {
        var dialled = key.Endpoint is { } endpoint
            ? await DialAsync(loop, endpoint, isNeeded: !_sessions[loop].Pool.Has(key), cancellationToken).ConfigureAwait(false)
            : await dialer.DialAsync(loop, UpstreamUse.Http2, cancellationToken).ConfigureAwait(false);
        if (dialled is DialOutcome.Failed failed)
        {
            return new SessionDial.Failed(failed.Reason, failed.Detail, failed.Endpoint);
        }

        var connection = ((DialOutcome.Connected)dialled).Connection;
        if (!dialer.SpeaksHttp2(connection.Session))
        {
            Volatile.Write(ref _withoutSince, Math.Max(1, core.Time.GetTimestamp()));
            await pool.GiveBackAsync(connection, key.Era).ConfigureAwait(false);
            return new SessionDial.Failed(RefusalReason.UpstreamClosed, $"{connection.Endpoint}: it knows no HTTP/2", connection.Endpoint);
        }

        Volatile.Write(ref _withoutSince, 0);
        return new SessionDial.Connected(connection.Transport, connection.Session, connection.Endpoint, loop.Post, connection.Leave);
    }

    /// <summary>
    /// A session holds a place among the connections. The first one of a loop to an endpoint is opened even when there are too many, as in Envoy: those
    /// that are open may serve for hours, and no request would ever get there.
    /// </summary>
    private async Task<DialOutcome> DialAsync(EventLoop loop, UpstreamEndpoint endpoint, bool isNeeded, CancellationToken cancellationToken)
    {
        var upstream = endpoint.Owner;
        while (!upstream.TryOpenConnection(isNeeded))
        {
            if (!await pool.MakeRoomAsync().ConfigureAwait(false))
            {
                return upstream.TooManyConnections();
            }
        }

        return await dialer.DialAsync(loop, endpoint, UpstreamUse.Http2, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Those of one loop. The way to a new one is made once per era and endpoint, not once per request.</summary>
    private sealed class Sessions(UpstreamSessions all, EventLoop loop)
    {
        private readonly Dictionary<SessionKey, Func<CancellationToken, Task<SessionDial>>> _ways = [];
        private object? _era;

        public SessionPool<SessionKey> Pool { get; } = new(OptionsOf(all.Core));

        /// <summary>On the loop's thread only.</summary>
        public Func<CancellationToken, Task<SessionDial>> DialFor(SessionKey key)
        {
            if (!ReferenceEquals(_era, key.Era))
            {
                _era = key.Era;
                _ways.Clear();
            }

            if (!_ways.TryGetValue(key, out var way))
            {
                _ways.Add(key, way = token => all.DialAsync(loop, key, token));
            }

            return way;
        }
    }
}

/// <summary>Which sessions will do for a request.</summary>
/// <param name="Era">What they were opened under, the very object.</param>
/// <param name="Endpoint">The endpoint that was chosen; null for the own application.</param>
internal readonly record struct SessionKey(object Era, UpstreamEndpoint? Endpoint)
{
    public bool Equals(SessionKey other) => ReferenceEquals(Era, other.Era) && ReferenceEquals(Endpoint, other.Endpoint);

    public override int GetHashCode() => HashCode.Combine(RuntimeHelpers.GetHashCode(Era), RuntimeHelpers.GetHashCode(Endpoint));
}
