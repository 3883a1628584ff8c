using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Hosting.Daemons;
using Signet.Proxy.Connections;

namespace Signet.Proxy.Listeners;

/// <summary>
/// One listening socket and the connections that came through it. Each connection has one owner, a task that the listener awaits; beyond
/// the limit connections wait in the kernel's queue.
/// </summary>
internal sealed class Listener(string name, string option, IPEndPoint listen, Direction direction, ProxyCore core, Func<Socket, LiveConnection, Task> serve) : IDaemonPart, IDisposable
{
    private const int Backlog = 1024;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _places = new(core.Config.Limits.Connections);
    private readonly CancellationTokenSource _stopAccepting = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HashSet<Task> _owners = [];
    private readonly Lock _gate = new();
    private Socket? _socket;
    private EndPoint? _bound;
    private Task _accepting = Task.CompletedTask;

    public string Name => name;

    public Direction Direction => direction;

    /// <summary>Where it listens; the real port once it started.</summary>
    public IPEndPoint LocalEndPoint => (IPEndPoint?)_bound ?? listen;

    public bool IsAccepting => !_stopAccepting.IsCancellationRequested && _socket is not null;

    public Task Completion => _completion.Task;

    /// <summary>Connections under way.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _owners.Count;
            }
        }
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var socket = new Socket(listen.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(listen);
            socket.Listen(Backlog);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new CannotListenException(listen, option, e);
        }

        _socket = socket;
        _bound = socket.LocalEndPoint;
        _accepting = Task.Run(AcceptAsync, CancellationToken.None);
        Log.Listening(core.Logger, LocalEndPoint.ToString(), name);
        return Task.CompletedTask;
    }

    /// <summary>Takes no new connection.</summary>
    public async Task StopAcceptingAsync()
    {
        await _stopAccepting.CancelAsync().ConfigureAwait(false);
        _socket?.Dispose();
        await _accepting.ConfigureAwait(false);
    }

    /// <summary>Waits for every owner. Whoever wants them to hurry closes their connections.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await StopAcceptingAsync().ConfigureAwait(false);
        while (true)
        {
            Task[] owners;
            lock (_gate)
            {
                owners = [.. _owners];
            }

            if (owners.Length == 0)
            {
                break;
            }

            await Task.WhenAll(owners).WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        _completion.TrySetResult();
    }

    /// <summary>Once it has stopped.</summary>
    public void Dispose()
    {
        _stopAccepting.Dispose();
        _places.Dispose();
    }

    private async Task AcceptAsync()
    {
        var pause = FirstPause;
        while (!_stopAccepting.IsCancellationRequested)
        {
            try
            {
                await _places.WaitAsync(_stopAccepting.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            try
            {
                Own(await _socket!.AcceptAsync(_stopAccepting.Token).ConfigureAwait(false));
                pause = FirstPause;
            }
            catch (Exception e) when (_stopAccepting.IsCancellationRequested && e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                // Out of descriptors or memory, or the peer left before it was accepted: the queue keeps the others.
                _places.Release();
                Log.AcceptFailed(core.Logger, name, DurationText.Format(pause), e.Message);
                await Task.Delay(pause, core.Time, _stopAccepting.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    private void Own(Socket socket)
    {
        if (socket.RemoteEndPoint is not IPEndPoint source)
        {
            socket.Dispose();
            _places.Release();
            return;
        }

        var live = core.Connections.Open(direction, name, source);
        core.Metrics.Opened(live);
        lock (_gate)
        {
            var owner = Task.Run(() => OwnAsync(socket, live));
            _owners.Add(owner);
            owner.ContinueWith(Leave, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task OwnAsync(Socket socket, LiveConnection live)
    {
        try
        {
            await serve(socket, live).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Log.ConnectionFailed(core.Logger, live.Id, name, e);
        }
        finally
        {
            socket.Dispose();
            core.Connections.Forget(live);
        }
    }

    private void Leave(Task owner)
    {
        _places.Release();
        lock (_gate)
        {
            _owners.Remove(owner);
        }
    }
}
