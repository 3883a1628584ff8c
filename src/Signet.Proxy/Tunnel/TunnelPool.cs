using Signet.Proxy.Http2;

namespace Signet.Proxy.Tunnel;

/// <summary>
/// The client's side of tunnels: many connections share one session to a peer's proxy, each as a CONNECT stream (RFC 9113 §8.5), as in HBONE.
/// Thread-safe. Disposing breaks every tunnel and waits for their ends.
/// </summary>
public sealed class TunnelPool(TunnelOptions options) : IAsyncDisposable
{
    private readonly SessionPool<TunnelKey> _sessions = new(new() { Http2 = options.Http2, Idle = options.Idle, MaxSessions = options.MaxTunnels });

    /// <summary>Tunnels that are open.</summary>
    public int Tunnels => _sessions.Sessions;

    /// <summary>Asks for a connection to a destination behind a peer's proxy.</summary>
    /// <param name="key">Which tunnels will do.</param>
    /// <param name="dial">Opens a session for a new tunnel; whoever else waits for the same key waits for this one.</param>
    /// <param name="authority">Host and port of the destination.</param>
    /// <param name="fields">More about the connection, for the peer; names in lower case.</param>
    /// <param name="cancellationToken">The caller no longer wants it.</param>
    public async Task<TunnelOutcome> ConnectAsync(
        TunnelKey key, Func<CancellationToken, Task<SessionDial>> dial, string authority, IReadOnlyList<KeyValuePair<string, string>> fields, CancellationToken cancellationToken)
    {
        var problem = "no tunnel that takes connections";
        for (var attempt = 0; attempt < options.MaxAttempts;)
        {
            var (session, failure) = await _sessions.TakeAsync(key, dial, cancellationToken).ConfigureAwait(false);
            if (failure is not null)
            {
                return new TunnelOutcome.Failed(failure.Reason, failure.Detail);
            }

            if (!session!.Connection.TryOpen(Http2RequestHead.Connect(authority, fields), endStream: false, out var stream, out _))
            {
                attempt++;
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
                return isOurs ? new TunnelOutcome.Opened(stream, session.Dialled.Session) : new TunnelOutcome.Refused(answer.Status);
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

    /// <summary>Lets tunnels go that are unused for too long, or whose certificates are about to end; connections in the latter live on until then.</summary>
    public void Sweep() => _sessions.Sweep();

    /// <summary>Lets tunnels go whose keys nobody will ask for any more; connections in them live on.</summary>
    public void Retire(Func<TunnelKey, bool> isOver) => _sessions.Retire(isOver);

    public ValueTask DisposeAsync() => _sessions.DisposeAsync();
}
