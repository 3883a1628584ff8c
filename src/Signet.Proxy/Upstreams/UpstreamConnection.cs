using Signet.Proxy.L7;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// A connection to the application or to an endpoint. While it is unused it listens: whatever arrives then, an end or bytes that nobody
/// asked for, makes it unfit for the next request.
/// </summary>
internal sealed class UpstreamConnection(BufferedTransport transport, EventLoop loop, string endpoint, TlsSession? session) : IAsyncDisposable
{
    private readonly CancellationTokenSource _disposed = new();
    private CancellationTokenRegistration _asker;
    private ValueTask<bool>? _watch;
    private EndpointUse? _use;
    private int _hasLeft;
    private int _isDisposed;

    public BufferedTransport Transport => transport;

    /// <summary>Where it lives.</summary>
    public EventLoop Loop => loop;

    /// <summary>The address, for logs.</summary>
    public string Endpoint => endpoint;

    /// <summary>The handshake's result; null for the plaintext to the own application.</summary>
    public TlsSession? Session => session;

    /// <summary>Its exchanges, once it had one.</summary>
    public Http1Server? Messages { get; set; }

    /// <summary>The endpoint at which it has a place; null for the own application's.</summary>
    public UpstreamEndpoint? Home { get; private set; }

    /// <summary>How many requests it was taken for.</summary>
    public int Requests { get; private set; }

    /// <summary>Whether a request was already answered on it.</summary>
    public bool IsReused { get; private set; }

    /// <summary>Whether the read that watches over a connection at rest has not been taken over yet.</summary>
    public bool IsResting => _watch is not null;

    /// <summary>When it was last used, as a timestamp.</summary>
    public long IdleSince { get; private set; }

    /// <summary>Whether an unused connection is still as it was left, and the certificates of both sides valid.</summary>
    public bool IsSound(TimeProvider time) => _watch is { IsCompleted: false } && (session is null || time.GetUtcNow() < session.ExpiresAt);

    /// <summary>The place that was kept for it is taken, until it is closed.</summary>
    public void Settle(UpstreamEndpoint home)
    {
        Home = home;
        home.CountConnection(1);
    }

    /// <summary>A request begins on it.</summary>
    public void BeginUse(EndpointUse? use)
    {
        Requests++;
        _use = use;
    }

    /// <summary>The request is over.</summary>
    public void EndUse() => Interlocked.Exchange(ref _use, null)?.Dispose();

    /// <summary>It is closed, or whoever has its transport has closed it: its request is over and its place is free. Counts once.</summary>
    public void Leave()
    {
        EndUse();
        if (Home is { } home && Interlocked.Exchange(ref _hasLeft, 1) == 0)
        {
            home.CountConnection(-1);
            home.Owner.CloseConnection();
        }
    }

    /// <summary>Whoever took over the read that watched over the last rest no longer has a say. Await it before a rest.</summary>
    public ValueTask ForgetAskerAsync() => _asker.DisposeAsync();

    /// <summary>The connection is unused from now on.</summary>
    public void Rest(long timestamp)
    {
        transport.ReleaseIfEmpty();
        (IsReused, IdleSince) = (true, timestamp);
        try
        {
            _watch = transport.ReadMoreAsync(HttpLimits.MaxHead, _disposed.Token);
        }
        catch (IOException e)
        {
            // It broke behind a message that was whole: unfit, and nothing more.
            _watch = ValueTask.FromException<bool>(e);
        }
    }

    /// <summary>
    /// Reads more behind what is available; the first read after a rest is the one that was already waiting, and ends like the connection when
    /// whoever takes it over no longer wants it.
    /// </summary>
    public ValueTask<bool> ReadMoreAsync(int limit, CancellationToken cancellationToken)
    {
        if (_watch is not { } watch)
        {
            return transport.ReadMoreAsync(limit, cancellationToken);
        }

        _watch = null;
        _asker = cancellationToken.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), _disposed);
        return watch;
    }

    /// <summary>Closes the connection, at once and only once.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _asker.DisposeAsync().ConfigureAwait(false);
        await _disposed.CancelAsync().ConfigureAwait(false);
        await transport.DisposeAsync().ConfigureAwait(false);
        if (_watch is { } watch)
        {
            await ((Task)watch.AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        Leave();

        // _disposed stays: a cancellation that is under way may still want to fire it, and it holds nothing that needs releasing.
    }
}
