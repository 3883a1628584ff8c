using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Hosting.Daemons;
using Signet.Proxy.Connections;
using Signet.Proxy.Loop;
using Signet.Proxy.Native;

namespace Signet.Proxy.Listeners;

/// <summary>
/// One listening socket, watched by every loop, and the connections that came through it. Each connection has one owner on one loop, and
/// the listener ends after the last of them; beyond the limit, or without descriptors, connections wait in the kernel's queue.
/// </summary>
internal sealed class Listener(
    string name, string option, IPEndPoint listen, Direction direction, ProxyCore core, ListeningSockets sockets, Func<LoopSocket, LiveConnection, Task> serve, bool isTransparent = false) : IDaemonPart
{
    private const int AcceptsPerTurn = 16;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly List<Door> _doors = [];
    private ListeningSocket? _socket;
    private int _count;
    private bool _isFull;
    private volatile bool _isPaused;
    private volatile bool _hasStopped;
    private TaskCompletionSource? _whenEmpty;

    public string Name => name;

    public Direction Direction => direction;

    /// <summary>Where it listens; the real port once it started.</summary>
    public IPEndPoint LocalEndPoint => (IPEndPoint?)_socket?.Place ?? listen;

    public bool IsAccepting => _socket is not null && !_isPaused && !_hasStopped;

    public Task Completion => _completion.Task;

    /// <summary>Connections under way.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Takes its place, so that connections wait there.</summary>
    /// <exception cref="CannotListenException">It cannot be had.</exception>
    public void Bind() => _socket ??= sockets.Open(listen, option, isTransparent);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Bind();
        _doors.AddRange(core.Loops.All.Select(loop => new Door(this, loop)));
        await OnEveryLoopAsync(door => door.Open()).ConfigureAwait(false);
        Log.Listening(core.Logger, LocalEndPoint.ToString(), name);
    }

    /// <summary>Leaves new connections where they wait, until <see cref="ResumeAsync"/>.</summary>
    public Task PauseAsync()
    {
        _isPaused = true;
        return OnEveryLoopAsync(door => door.Close());
    }

    /// <summary>Takes connections again.</summary>
    public Task ResumeAsync()
    {
        _isPaused = false;
        return OnEveryLoopAsync(door => door.OpenIfWanted());
    }

    /// <summary>Takes no new connection.</summary>
    public async Task StopAcceptingAsync()
    {
        if (_socket is null || _hasStopped)
        {
            return;
        }

        _hasStopped = true;
        await OnEveryLoopAsync(door => door.Close()).ConfigureAwait(false);
        sockets.Close(_socket);
    }

    /// <summary>Waits for every owner. Whoever wants them to hurry closes their connections.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await StopAcceptingAsync().ConfigureAwait(false);
        Task whenEmpty;
        lock (_gate)
        {
            _whenEmpty ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
            whenEmpty = _count == 0 ? Task.CompletedTask : _whenEmpty.Task;
        }

        await whenEmpty.WaitAsync(cancellationToken).ConfigureAwait(false);
        _completion.TrySetResult();
    }

    private Task OnEveryLoopAsync(Action<Door> action) => Task.WhenAll(_doors.Select(door =>
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        door.Loop.Post(() =>
        {
            try
            {
                action(door);
                done.SetResult();
            }
            catch (IOException e)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }));

    /// <summary>Takes what waits, a little at a time.</summary>
    private unsafe void Accept(Door door)
    {
        var address = stackalloc byte[Libc.MaxAddress];
        for (var i = 0; i < AcceptsPerTurn && TryTakePlace(); i++)
        {
            var length = Libc.MaxAddress;
            var fd = Libc.Accept(_socket!.Descriptor, address, &length, Libc.SockNonBlock | Libc.SockCloseOnExec);
            if (fd >= 0)
            {
                var source = SocketAddresses.Read(new ReadOnlySpan<byte>(address, Math.Min(length, Libc.MaxAddress))) ?? new IPEndPoint(IPAddress.None, 0);
                Settle(door.Loop, fd, source);
                continue;
            }

            var errno = Marshal.GetLastPInvokeError();
            GiveBackPlace();
            if (errno is Libc.EMFile or Libc.ENFile or Libc.ENoBufs or Libc.ENoMem)
            {
                // The queue keeps the others until there is room again.
                Log.AcceptFailed(core.Logger, name, DurationText.Format(Pause), Libc.Words(errno));
                door.Close();
                _ = ReopenLaterAsync(door);
            }

            // Otherwise another loop was faster, or the peer left before it was accepted.
            return;
        }
    }

    private async Task ReopenLaterAsync(Door door)
    {
        await Task.Delay(Pause, core.Time).ConfigureAwait(false);
        door.Loop.Post(door.OpenIfWanted);
    }

    private void Settle(EventLoop here, int fd, IPEndPoint source)
    {
        var loop = core.Loops.Place(here);
        if (loop == here)
        {
            _ = OwnAsync(loop, fd, source);
        }
        else
        {
            loop.Post(() => _ = OwnAsync(loop, fd, source));
        }
    }

    private async Task OwnAsync(EventLoop loop, int fd, IPEndPoint source)
    {
        var live = core.Connections.Open(direction, name, source, loop);
        try
        {
            await using var socket = new LoopSocket(loop, fd);
            core.Metrics.Opened(live);
            await serve(socket, live).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Log.ConnectionFailed(core.Logger, live.Id, name, e);
        }
        finally
        {
            core.Connections.Forget(live);
            GiveBackPlace();
        }
    }

    private bool TryTakePlace()
    {
        lock (_gate)
        {
            _isFull = _count >= core.Config.Limits.Connections;
            if (!_isFull)
            {
                _count++;
                return true;
            }

            _doors.ForEach(door => door.Loop.Post(door.Close));
            return false;
        }
    }

    private void GiveBackPlace()
    {
        lock (_gate)
        {
            _count--;
            if (_count == 0)
            {
                _whenEmpty?.TrySetResult();
            }

            if (_isFull)
            {
                _isFull = false;
                _doors.ForEach(door => door.Loop.Post(door.OpenIfWanted));
            }
        }
    }

    /// <summary>One loop's watch over the listening socket. On its loop's thread only.</summary>
    private sealed class Door(Listener listener, EventLoop loop) : IPolled
    {
        private int? _slot;

        public EventLoop Loop => loop;

        /// <exception cref="IOException">It cannot be watched.</exception>
        public void Open() => _slot ??= loop.Watch(this, listener._socket!.Descriptor, Libc.EpollIn | Libc.EpollExclusive);

        /// <summary>Opens again, unless nobody should come in any more.</summary>
        public void OpenIfWanted()
        {
            if (listener is { _hasStopped: false, _isPaused: false })
            {
                Open();
            }
        }

        public void Close()
        {
            if (_slot is { } slot)
            {
                _slot = null;
                loop.Unwatch(slot, listener._socket!.Descriptor);
            }
        }

        public void OnEvents(uint events)
        {
            if (listener is { _hasStopped: false, _isPaused: false })
            {
                listener.Accept(this);
            }
        }

        public void OnLoopEnd() => _slot = null;
    }
}
