using System.Collections.Immutable;
using Signet.Proxy.Http2;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Tunnel;

/// <summary>
/// The client's side of tunnels: many connections share one session to a peer's proxy, each as a CONNECT stream (RFC 9113 §8.5), as in HBONE.
/// A tunnel that is full gets a second beside it; one that ends, breaks or is no longer wanted takes no new connections, and those in it end
/// with it or by themselves. Thread-safe. Disposing breaks every tunnel and waits for their ends.
/// </summary>
public sealed class TunnelPool(TunnelOptions options) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<TunnelKey, Shelf> _shelves = [];
    private readonly HashSet<Task> _work = [];
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Tunnels that are open.</summary>
    public int Tunnels
    {
        get
        {
            lock (_gate)
            {
                return _shelves.Values.Sum(shelf => shelf.Tunnels.Count);
            }
        }
    }

    /// <summary>Asks for a connection to a destination behind a peer's proxy.</summary>
    /// <param name="key">Which tunnels will do.</param>
    /// <param name="dial">Opens a session for a new tunnel; whoever else waits for the same key waits for this one.</param>
    /// <param name="authority">Host and port of the destination.</param>
    /// <param name="fields">More about the connection, for the peer; names in lower case.</param>
    /// <param name="cancellationToken">The caller no longer wants it.</param>
    public async Task<TunnelOutcome> ConnectAsync(
        TunnelKey key, Func<CancellationToken, Task<TunnelDial>> dial, string authority, IReadOnlyList<KeyValuePair<string, string>> fields, CancellationToken cancellationToken)
    {
        var (problem, opened) = ("no tunnel that takes connections", 0);
        for (var attempt = 0; attempt < options.MaxAttempts && opened <= options.MaxTunnels;)
        {
            if (!TryOpen(key, Http2RequestHead.Connect(authority, fields), out var stream, out var session))
            {
                opened++;
                var failure = await OpenTunnelAsync(key, dial).WaitAsync(cancellationToken).ConfigureAwait(false);
                if (failure is not null)
                {
                    return new TunnelOutcome.Failed(failure.Reason, failure.Detail);
                }

                continue;
            }

            var isOurs = false;
            try
            {
                var answer = await stream!.ReadHeadAsync(cancellationToken).ConfigureAwait(false);
                while (answer.IsInterim)
                {
                    answer = await stream.ReadHeadAsync(cancellationToken).ConfigureAwait(false);
                }

                isOurs = answer.Status < 300;
                return isOurs ? new TunnelOutcome.Opened(stream, session) : new TunnelOutcome.Refused(answer.Status);
            }
            catch (Http2StreamException e)
            {
                problem = e.Message;
                attempt = e.IsUnprocessed ? attempt + 1 : options.MaxAttempts;
            }
            finally
            {
                if (!isOurs)
                {
                    await stream!.DisposeAsync().ConfigureAwait(false);
                }
            }
        }

        return new TunnelOutcome.Failed(RefusalReason.UpstreamClosed, $"{key.Endpoint}: {problem}");
    }

    /// <summary>Lets tunnels go that are unused for too long.</summary>
    public void Sweep() => Retire((_, tunnel) =>
        tunnel.IdleSince is { } since && options.Http2.Time.GetElapsedTime(since) >= options.Idle);

    /// <summary>Lets tunnels go whose keys nobody will ask for any more; connections in them live on.</summary>
    public void Retire(Func<TunnelKey, bool> isOver) => Retire((key, _) => isOver(key));

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

    private void Retire(Func<TunnelKey, Http2Connection, bool> isOver)
    {
        List<Http2Connection> over;
        lock (_gate)
        {
            over = [.. _shelves.SelectMany(shelf => shelf.Value.Tunnels.Select(tunnel => (shelf.Key, tunnel.Connection))).Where(pair => isOver(pair.Key, pair.Connection)).Select(pair => pair.Connection)];
        }

        foreach (var connection in over)
        {
            connection.Drain();
        }
    }

    private bool TryOpen(TunnelKey key, Http2RequestHead head, out Http2Stream? stream, out TlsSession? session)
    {
        (stream, session) = (null, null);
        ImmutableList<Tunnel> tunnels;
        lock (_gate)
        {
            tunnels = _shelves.TryGetValue(key, out var shelf) ? shelf.Tunnels : [];
        }

        // The oldest first: a later one that is no longer needed becomes idle and goes.
        foreach (var tunnel in tunnels)
        {
            if (tunnel.Connection.TryOpen(head, endStream: false, out stream, out _))
            {
                session = tunnel.Session;
                return true;
            }
        }

        return false;
    }

    /// <summary>One tunnel more, or the one that is being opened. Null when there is one.</summary>
    private Task<TunnelDial.Failed?> OpenTunnelAsync(TunnelKey key, Func<CancellationToken, Task<TunnelDial>> dial)
    {
        var made = new TaskCompletionSource<TunnelDial.Failed?>();
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

            // Those that drain do not count: they end when their connections do.
            var full = shelf.Tunnels.Count(tunnel => tunnel.Connection.Refusal == OpenRefusal.AtLimit);
            if (full >= options.MaxTunnels)
            {
                return Task.FromResult<TunnelDial.Failed?>(new(RefusalReason.UpstreamConnectFailed, $"{key.Endpoint}: {full} tunnels are open and full"));
            }

            shelf.Opening = made.Task;
        }

        var run = RunTunnelAsync(key, shelf, dial, made);
        lock (_gate)
        {
            _work.RemoveWhere(task => task.IsCompleted);
            _work.Add(run);
        }

        return made.Task;
    }

    /// <summary>A tunnel's whole life.</summary>
    private async Task RunTunnelAsync(TunnelKey key, Shelf shelf, Func<CancellationToken, Task<TunnelDial>> dial, TaskCompletionSource<TunnelDial.Failed?> made)
    {
        var failure = new TunnelDial.Failed(RefusalReason.UpstreamClosed, $"{key.Endpoint}: closed by the proxy");
        try
        {
            var outcome = await dial(_stop.Token).ConfigureAwait(false);
            if (outcome is TunnelDial.Connected connected)
            {
                var connection = Http2Connection.AsClient(connected.Transport, options.Http2 with { AtTurnEnd = connected.AtTurnEnd ?? options.Http2.AtTurnEnd });
                var running = connection.RunAsync(_stop.Token);
                if (await connection.GreetedAsync(_stop.Token).ConfigureAwait(false))
                {
                    var tunnel = new Tunnel(connection, connected.Session);
                    lock (_gate)
                    {
                        (shelf.Opening, shelf.Tunnels) = (null, shelf.Tunnels.Add(tunnel));
                    }

                    made.TrySetResult(null);
                    await running.ConfigureAwait(false);
                    lock (_gate)
                    {
                        shelf.Tunnels = shelf.Tunnels.Remove(tunnel);
                    }
                }
                else
                {
                    // Nobody is to wait for the last words of a peer that speaks something else.
                    connection.Abort("the peer does not speak HTTP/2");
                }

                failure = new(RefusalReason.UpstreamClosed, $"{key.Endpoint}: {(await running.ConfigureAwait(false)).Reason}");
            }
            else
            {
                failure = (TunnelDial.Failed)outcome;
            }
        }
        catch (IOException e)
        {
            failure = new(RefusalReason.UpstreamClosed, $"{key.Endpoint}: {e.Message}");
        }
        catch (OperationCanceledException)
        {
            // The pool closes.
        }
        finally
        {
            lock (_gate)
            {
                shelf.Opening = shelf.Opening == made.Task ? null : shelf.Opening;
                if (shelf.Tunnels.IsEmpty && shelf.Opening is null && _shelves.TryGetValue(key, out var current) && current == shelf)
                {
                    _shelves.Remove(key);
                }
            }

            made.TrySetResult(failure);
        }
    }

    private sealed record Tunnel(Http2Connection Connection, TlsSession? Session);

    /// <summary>The tunnels of one key.</summary>
    private sealed class Shelf
    {
        public ImmutableList<Tunnel> Tunnels { get; set; } = [];

        /// <summary>Whoever needs one more waits for this one.</summary>
        public Task<TunnelDial.Failed?>? Opening { get; set; }
    }
}
