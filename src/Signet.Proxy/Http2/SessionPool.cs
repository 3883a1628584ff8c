using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Signet.Proxy.Connections;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Http2;

/// <summary>The bounds of a pool of sessions. Immutable.</summary>
public sealed record SessionPoolOptions
{
    public required Http2Options Http2 { get; init; }

    /// <summary>How long a session without a stream is kept.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Sessions of one key. Each carries as many streams as its peer allows; one more stream than all of them carry is refused.</summary>
    public int MaxSessions { get; init; } = 16;
}

/// <summary>What came of connecting to a peer.</summary>
public abstract record SessionDial
{
    private SessionDial()
    {
    }

    /// <param name="Transport">An established connection whose peer has agreed to HTTP/2; becomes the session's.</param>
    /// <param name="Session">How it came about, and who is at the other end; null for plaintext.</param>
    /// <param name="Endpoint">The address, for logs.</param>
    /// <param name="AtTurnEnd">The turns of the thread that owns the transport, as <see cref="Http2Options.AtTurnEnd"/> means them.</param>
    /// <param name="Ended">Called once the session is over, however it ended.</param>
    public sealed record Connected(ITransport Transport, TlsSession? Session, string Endpoint, Action<Action>? AtTurnEnd = null, Action? Ended = null) : SessionDial;

    /// <param name="Reason">The closed reason.</param>
    /// <param name="Detail">Names the address and what happened there.</param>
    /// <param name="Endpoint">The address that was tried last, if any was.</param>
    public sealed record Failed(RefusalReason Reason, string Detail, string? Endpoint = null) : SessionDial;
}

/// <summary>A session that many share, and who is at its other end.</summary>
public sealed record SharedSession(Http2Connection Connection, SessionDial.Connected Dialled);

/// <summary>
/// HTTP/2 sessions as client, by key. One that is full gets a second beside it; one that ends, breaks or is no longer wanted takes no new
/// streams, and those in it end with it or by themselves. Thread-safe. Disposing breaks every session and waits for their ends.
/// </summary>
public sealed class SessionPool<TKey>(SessionPoolOptions options) : IAsyncDisposable
    where TKey : notnull
{
    private readonly Lock _gate = new();
    private readonly Dictionary<TKey, Shelf> _shelves = [];
    private readonly HashSet<Task> _work = [];
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Sessions that are open.</summary>
    public int Sessions
    {
        get
        {
            lock (_gate)
            {
                return _shelves.Values.Sum(shelf => shelf.Sessions.Count);
            }
        }
    }

    /// <summary>A session that takes one more stream: the oldest that does, or a new one.</summary>
    /// <param name="key">Which sessions will do.</param>
    /// <param name="dial">Opens a new one; whoever else waits for the same key waits for this one.</param>
    /// <param name="cancellationToken">The caller no longer wants it.</param>
    /// <returns>The session, or why there is none.</returns>
    public ValueTask<(SharedSession? Session, SessionDial.Failed? Failure)> TakeAsync(
        TKey key, Func<CancellationToken, Task<SessionDial>> dial, CancellationToken cancellationToken) =>
        TryTake(key, out var session) ? new((session, null)) : new(OpenAsync(key, dial, cancellationToken));

    /// <summary>Whether there is a session that takes streams, or will again when others have ended.</summary>
    public bool Has(TKey key)
    {
        lock (_gate)
        {
            return _shelves.TryGetValue(key, out var shelf) && shelf.Sessions.Any(session => session.Connection.Refusal is OpenRefusal.None or OpenRefusal.AtLimit);
        }
    }

    /// <summary>Lets sessions go that are unused for too long, or whose certificates are about to end.</summary>
    public void Sweep()
    {
        var time = options.Http2.Time;
        var soon = time.GetUtcNow() + LiveConnection.Notice;
        Retire((_, session) => session.Dialled.Session?.ExpiresAt < soon || (session.Connection.IdleSince is { } since && time.GetElapsedTime(since) >= options.Idle));
    }

    /// <summary>Lets sessions go in which nothing is under way.</summary>
    public void RetireIdle() => Retire((_, session) => session.Connection.IdleSince is not null);

    /// <summary>Lets sessions go whose keys nobody will ask for any more; streams in them live on.</summary>
    public void Retire(Func<TKey, bool> isOver) => Retire((key, _) => isOver(key));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        List<Task> work;
        lock (_gate)
        {
            work = [.. _work];
        }

        await Task.WhenAll(work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        // _stop stays: it holds nothing that needs releasing.
    }

    private void Retire(Func<TKey, SharedSession, bool> isOver)
    {
        List<Http2Connection> over;
        lock (_gate)
        {
            over = [.. _shelves.SelectMany(shelf => shelf.Value.Sessions.Where(session => isOver(shelf.Key, session)).Select(session => session.Connection))];
        }

        foreach (var connection in over)
        {
            connection.Drain();
        }
    }

    private bool TryTake(TKey key, [NotNullWhen(true)] out SharedSession? found)
    {
        found = null;
        ImmutableList<SharedSession> sessions;
        lock (_gate)
        {
            if (!_shelves.TryGetValue(key, out var shelf))
            {
                return false;
            }

            sessions = shelf.Sessions;
        }

        // The oldest first: a later one that is no longer needed becomes idle and goes.
        foreach (var session in sessions)
        {
            if (session.Connection.Refusal == OpenRefusal.None)
            {
                found = session;
                return true;
            }
        }

        return false;
    }

    private async Task<(SharedSession?, SessionDial.Failed?)> OpenAsync(TKey key, Func<CancellationToken, Task<SessionDial>> dial, CancellationToken cancellationToken)
    {
        for (var opened = 0; opened <= options.MaxSessions; opened++)
        {
            var failure = await OpenSessionAsync(key, dial).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (failure is not null)
            {
                return (null, failure);
            }

            if (TryTake(key, out var session))
            {
                return (session, null);
            }
        }

        return (null, new(RefusalReason.UpstreamClosed, "no session that takes streams"));
    }

    /// <summary>One session more, or the one that is being opened. Null when there is one.</summary>
    private Task<SessionDial.Failed?> OpenSessionAsync(TKey key, Func<CancellationToken, Task<SessionDial>> dial)
    {
        var made = new TaskCompletionSource<SessionDial.Failed?>();
        Shelf? shelf;
        lock (_gate)
        {
            if (!_shelves.TryGetValue(key, out shelf))
            {
                _shelves.Add(key, shelf = new Shelf());
            }

            if (shelf.Opening is { } opening)
            {
                return opening;
            }

            // Those that drain do not count: they end when their streams do.
            var full = shelf.Sessions.Count(session => session.Connection.Refusal == OpenRefusal.AtLimit);
            if (full >= options.MaxSessions)
            {
                return Task.FromResult<SessionDial.Failed?>(new(RefusalReason.UpstreamConnectFailed, $"{full} sessions are open and full"));
            }

            shelf.Opening = made.Task;
        }

        var run = RunSessionAsync(key, shelf, dial, made);
        lock (_gate)
        {
            _work.RemoveWhere(task => task.IsCompleted);
            _work.Add(run);
        }

        return made.Task;
    }

    /// <summary>A session's whole life.</summary>
    private async Task RunSessionAsync(TKey key, Shelf shelf, Func<CancellationToken, Task<SessionDial>> dial, TaskCompletionSource<SessionDial.Failed?> made)
    {
        var failure = new SessionDial.Failed(RefusalReason.UpstreamClosed, "closed by the proxy");
        SessionDial? outcome = null;
        try
        {
            outcome = await dial(_stop.Token).ConfigureAwait(false);
            if (outcome is SessionDial.Connected connected)
            {
                var connection = Http2Connection.AsClient(connected.Transport, options.Http2 with { AtTurnEnd = connected.AtTurnEnd ?? options.Http2.AtTurnEnd });
                var running = connection.RunAsync(_stop.Token);
                if (await connection.GreetedAsync(_stop.Token).ConfigureAwait(false))
                {
                    var session = new SharedSession(connection, connected);
                    lock (_gate)
                    {
                        (shelf.Opening, shelf.Sessions) = (null, shelf.Sessions.Add(session));
                    }

                    made.TrySetResult(null);
                    await running.ConfigureAwait(false);
                    lock (_gate)
                    {
                        shelf.Sessions = shelf.Sessions.Remove(session);
                    }
                }
                else
                {
                    // Nobody is to wait for the last words of a peer that speaks something else.
                    connection.Abort("the peer does not speak HTTP/2");
                }

                failure = new(RefusalReason.UpstreamClosed, $"{connected.Endpoint}: {(await running.ConfigureAwait(false)).Reason}", connected.Endpoint);
            }
            else
            {
                failure = (SessionDial.Failed)outcome;
            }
        }
        catch (IOException e)
        {
            failure = new(RefusalReason.UpstreamClosed, e.Message);
        }
        catch (OperationCanceledException)
        {
            // The pool closes.
        }
        finally
        {
            (outcome as SessionDial.Connected)?.Ended?.Invoke();
            lock (_gate)
            {
                if (shelf.Opening == made.Task)
                {
                    shelf.Opening = null;
                }

                if (shelf.Sessions.IsEmpty && shelf.Opening is null && _shelves.TryGetValue(key, out var current) && current == shelf)
                {
                    _shelves.Remove(key);
                }
            }

            made.TrySetResult(failure);
        }
    }

    /// <summary>The sessions of one key.</summary>
    private sealed class Shelf
    {
        public ImmutableList<SharedSession> Sessions { get; set; } = [];

        /// <summary>Whoever needs one more waits for this one.</summary>
        public Task<SessionDial.Failed?>? Opening { get; set; }
    }
}
