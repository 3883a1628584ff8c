using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Signet.Proxy.Native;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Loop;

/// <summary>
/// A stream socket on an event loop, as a transport. Readiness is edge-triggered: the loop tells once, and the socket is read until it has
/// no more. It belongs to its loop's thread; calls from other threads go there first. Owns the descriptor.
/// </summary>
internal sealed class LoopSocket : ITransport, IPolled
{
    /// <summary>Bytes that one connection may receive in a turn while others wait.</summary>
    private const int BytesPerTurn = 256 * 1024;

    private readonly Waiter _reads;
    private readonly Waiter _writes;
    private readonly int _slot;
    private int _fd;
    private bool _mayRead = true;
    private bool _mayWrite = true;
    private bool _hasMore;
    private uint _turn;
    private int _spent;

    /// <summary>Takes over a connected or connecting non-blocking socket. On the loop's thread only.</summary>
    /// <exception cref="IOException">It cannot be watched; it is closed then.</exception>
    public unsafe LoopSocket(EventLoop loop, int fd)
    {
        (Loop, _fd) = (loop, fd);
        (_reads, _writes) = (new Waiter(loop), new Waiter(loop));
        try
        {
            _slot = loop.Watch(this, fd, Libc.EpollIn | Libc.EpollOut | Libc.EpollUrgent | Libc.EpollReadHangUp | Libc.EpollEdge);
        }
        catch (IOException)
        {
            _ = Libc.Close(fd);
            throw;
        }

        loop.AddLoad(1);
        Push();
    }

    public EventLoop Loop { get; }

    /// <summary>The descriptor, for socket options; valid while the socket is open and on the loop's thread.</summary>
    public int Descriptor => _fd >= 0 ? _fd : throw Closed();

    /// <summary>Connects a new socket.</summary>
    /// <param name="loop">Where it lives.</param>
    /// <param name="endpoint">Where to.</param>
    /// <param name="source">The own address to connect from; null leaves it to the kernel.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="IOException">Refused, unreachable, or no descriptors left.</exception>
    /// <exception cref="OperationCanceledException">The caller no longer wants it.</exception>
    public static async ValueTask<LoopSocket> ConnectAsync(EventLoop loop, IPEndPoint endpoint, IPAddress? source, CancellationToken cancellationToken)
    {
        await loop.EnterAsync();
        var socket = new LoopSocket(loop, BeginConnect(endpoint, source));
        try
        {
            socket._mayWrite = false;
            await socket._writes.WaitAsync(cancellationToken).ConfigureAwait(false);
            socket.DemandConnected();
            return socket;
        }
        catch
        {
            socket.Close();
            throw;
        }
    }

    /// <summary>Receives what is there. On the loop's thread only.</summary>
    /// <returns>The count, 0 at the peer's end, or -1: wait for <see cref="ReadableAsync"/>.</returns>
    /// <exception cref="IOException">The connection broke.</exception>
    public unsafe int TryReceive(Span<byte> buffer)
    {
        if (_fd < 0)
        {
            throw Closed();
        }

        if (!_mayRead || !HasBudget())
        {
            return -1;
        }

        nint received;
        fixed (byte* into = buffer)
        {
            do
            {
                received = Libc.Receive(_fd, into, buffer.Length, 0);
            }
            while (received < 0 && Marshal.GetLastPInvokeError() == Libc.EIntr);
        }

        if (received < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            _mayRead = errno != Libc.EAgain;
            return errno == Libc.EAgain ? -1 : throw Broken(errno);
        }

        // Fewer bytes than there was room for: the socket is empty, and the loop will tell when it no longer is (epoll(7)). An end that
        // was announced together with these bytes is not announced again, and an urgent byte cuts a read short before the rest (tcp(7)).
        _mayRead = received == buffer.Length || _hasMore;
        _spent += (int)received;
        return (int)received;
    }

    /// <summary>Sends what the kernel takes. On the loop's thread only.</summary>
    /// <param name="bytes">What to send.</param>
    /// <param name="isMoreComing">The kernel may wait for what is sent next, or for the end, and have both leave in one packet.</param>
    /// <returns>The count, which may be 0: wait for <see cref="WritableAsync"/>.</returns>
    /// <exception cref="IOException">The connection broke.</exception>
    public unsafe int TrySend(ReadOnlySpan<byte> bytes, bool isMoreComing = false)
    {
        if (_fd < 0)
        {
            throw Closed();
        }

        if (!_mayWrite)
        {
            return 0;
        }

        nint sent;
        fixed (byte* from = bytes)
        {
            do
            {
                sent = Libc.Send(_fd, from, bytes.Length, isMoreComing ? Libc.MsgNoSignal | Libc.MsgMore : Libc.MsgNoSignal);
            }
            while (sent < 0 && Marshal.GetLastPInvokeError() == Libc.EIntr);
        }

        if (sent < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            _mayWrite = errno != Libc.EAgain;
            return errno == Libc.EAgain ? 0 : throw Broken(errno);
        }

        _mayWrite = sent == bytes.Length;
        return (int)sent;
    }

    /// <summary>
    /// Has the kernel send what it keeps, and from now on keep nothing but by <see cref="TrySend"/>'s demand (TCP_NODELAY, which pushes even where
    /// it is set already). On the loop's thread only.
    /// </summary>
    public unsafe void Push()
    {
        var on = 1;
        _ = Libc.SetSocketOption(_fd, Libc.IpProtoTcp, Libc.TcpNoDelay, &on, sizeof(int));
    }

    /// <summary>Waits until <see cref="TryReceive"/> may have something. On the loop's thread only.</summary>
    public ValueTask ReadableAsync(CancellationToken cancellationToken)
    {
        var wait = _reads.WaitAsync(cancellationToken);
        SignalIfReady();
        return wait;
    }

    /// <summary>Waits until <see cref="TrySend"/> may take something. On the loop's thread only.</summary>
    public ValueTask WritableAsync(CancellationToken cancellationToken)
    {
        var wait = _writes.WaitAsync(cancellationToken);
        if (_mayWrite)
        {
            Loop.SignalNextTurn(_writes);
        }

        return wait;
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!Loop.IsCurrent)
        {
            return ReadFromElsewhereAsync(buffer, cancellationToken);
        }

        if (buffer.IsEmpty)
        {
            return WaitForBytesAsync(cancellationToken);
        }

        var read = TryReceive(buffer.Span);
        return read >= 0 ? new(read) : WaitAndReadAsync(buffer, cancellationToken);
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (Loop.IsCurrent)
        {
            bytes = bytes[TrySend(bytes.Span)..];
            if (bytes.IsEmpty)
            {
                return default;
            }
        }

        return WaitAndWriteAsync(bytes, cancellationToken);
    }

    public async ValueTask EndWritesAsync(CancellationToken cancellationToken)
    {
        await Loop.EnterAsync();
        EndWrites();
    }

    /// <summary>Sends the end of this side's direction. On the loop's thread only.</summary>
    public void EndWrites()
    {
        if (Libc.Shutdown(Descriptor, Libc.ShutWrite) != 0)
        {
            throw Broken(Marshal.GetLastPInvokeError());
        }
    }

    public unsafe void Abort()
    {
        if (!Loop.IsCurrent)
        {
            Loop.Post(Abort);
        }
        else if (_fd >= 0)
        {
            var linger = stackalloc int[] { 1, 0 };
            _ = Libc.SetSocketOption(_fd, Libc.SolSocket, Libc.SoLinger, linger, 2 * sizeof(int));
            Close();
        }
    }

    public ValueTask DisposeAsync()
    {
        if (Loop.IsCurrent)
        {
            Close();
        }
        else
        {
            Loop.Post(Close);
        }

        return default;
    }

    /// <summary>The address of this side; null when the kernel does not say.</summary>
    public unsafe IPEndPoint? LocalEndPoint()
    {
        var address = stackalloc byte[Libc.MaxAddress];
        var length = Libc.MaxAddress;
        return Libc.GetSocketName(Descriptor, address, &length) == 0 ? SocketAddresses.Read(new ReadOnlySpan<byte>(address, length)) : null;
    }

    /// <summary>Where the connection was going before a rule of the kernel redirected it; null when none did, as far as it remembers.</summary>
    public unsafe IPEndPoint? RedirectedFrom()
    {
        var isV6 = LocalEndPoint() is { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 };
        var address = stackalloc byte[Libc.MaxAddress];
        var length = Libc.MaxAddress;
        return Libc.GetSocketOption(Descriptor, isV6 ? Libc.SolIpV6 : Libc.SolIp, Libc.SoOriginalDestination, address, &length) == 0
            ? SocketAddresses.Read(new ReadOnlySpan<byte>(address, length))
            : null;
    }

    void IPolled.OnEvents(uint events)
    {
        _hasMore |= (events & (Libc.EpollUrgent | Libc.EpollReadHangUp | Libc.EpollHangUp | Libc.EpollError)) != 0;
        if ((events & (Libc.EpollIn | Libc.EpollUrgent | Libc.EpollReadHangUp | Libc.EpollHangUp | Libc.EpollError)) != 0)
        {
            _mayRead = true;
            _reads.Signal();
        }

        if ((events & (Libc.EpollOut | Libc.EpollHangUp | Libc.EpollError)) != 0 && _fd >= 0)
        {
            _mayWrite = true;
            _writes.Signal();
        }
    }

    void IPolled.OnLoopEnd() => Close();

    private static unsafe int BeginConnect(IPEndPoint endpoint, IPAddress? source)
    {
        var address = stackalloc byte[Libc.MaxAddress];
        var length = SocketAddresses.Write(endpoint, new Span<byte>(address, Libc.MaxAddress), out var family);
        var fd = Libc.Socket(family, Libc.SockStream | Libc.SockNonBlock | Libc.SockCloseOnExec, 0);
        if (fd < 0)
        {
            throw Broken(Marshal.GetLastPInvokeError());
        }

        if (source is not null && !TryBind(fd, source))
        {
            var problem = Marshal.GetLastPInvokeError();
            _ = Libc.Close(fd);
            throw Broken(problem);
        }

        if (Libc.Connect(fd, address, length) != 0 && Marshal.GetLastPInvokeError() is not Libc.EInProgress and var errno)
        {
            _ = Libc.Close(fd);
            throw Broken(errno);
        }

        return fd;
    }

    /// <summary>The port is chosen when connecting, so that one address serves as many connections as there are pairs of ends.</summary>
    private static unsafe bool TryBind(int fd, IPAddress source)
    {
        var on = 1;
        _ = Libc.SetSocketOption(fd, Libc.SolIp, Libc.IpBindAddressNoPort, &on, sizeof(int));
        var address = stackalloc byte[Libc.MaxAddress];
        var length = SocketAddresses.Write(new IPEndPoint(source, 0), new Span<byte>(address, Libc.MaxAddress), out _);
        return Libc.Bind(fd, address, length) == 0;
    }

    private unsafe void DemandConnected()
    {
        int errno;
        var length = sizeof(int);
        if (Libc.GetSocketOption(Descriptor, Libc.SolSocket, Libc.SoError, &errno, &length) != 0)
        {
            errno = Marshal.GetLastPInvokeError();
        }

        if (errno != 0)
        {
            throw Broken(errno);
        }
    }

    private ValueTask<int> WaitForBytesAsync(CancellationToken cancellationToken)
    {
        if (_fd < 0)
        {
            throw Closed();
        }

        if (_mayRead && HasBudget())
        {
            return new(0);
        }

        var wait = _reads.WaitForZeroAsync(cancellationToken);
        SignalIfReady();
        return wait;
    }

    /// <summary>There is something, but others come first.</summary>
    private void SignalIfReady()
    {
        if (_mayRead)
        {
            Loop.SignalNextTurn(_reads);
        }
    }

    private async ValueTask<int> ReadFromElsewhereAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await Loop.EnterAsync();
        return await ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> WaitAndReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            await ReadableAsync(cancellationToken).ConfigureAwait(false);
            var read = TryReceive(buffer.Span);
            if (read >= 0)
            {
                return read;
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAndWriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await Loop.EnterAsync();
        while (true)
        {
            bytes = bytes[TrySend(bytes.Span)..];
            if (bytes.IsEmpty)
            {
                return;
            }

            await WritableAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private bool HasBudget()
    {
        if (_turn != Loop.Turn)
        {
            (_turn, _spent) = (Loop.Turn, 0);
        }

        return _spent < BytesPerTurn;
    }

    private void Close()
    {
        if (_fd < 0)
        {
            return;
        }

        _ = Libc.Close(_fd);
        _fd = -1;
        Loop.Release(_slot);
        Loop.AddLoad(-1);
        _reads.Fail(Closed());
        _writes.Fail(Closed());
    }

    private static IOException Closed() => new("the connection is closed");

    private static IOException Broken(int errno) => new(Libc.Words(errno));
}
