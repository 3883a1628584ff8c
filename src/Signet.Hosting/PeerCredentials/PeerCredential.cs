using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Signet.Hosting.PeerCredentials;

/// <summary>
/// The process at the other end of a Unix socket, as the kernel remembered it when that process connected (unix(7), SO_PEERCRED). A process
/// that only inherited or was passed the socket is not it. Lives as long as its connection. Thread-safe.
/// </summary>
/// <remarks>
/// A pid alone proves nothing, because it is used again. To learn facts of a peer: read them from <c>/proc</c>, then ask
/// <see cref="IsAlive"/>, and believe them only if it still is.
/// </remarks>
public sealed class PeerCredential : IDisposable
{
    private const int SocketLevel = 1, AskCredentials = 17, AskPidfd = 77;

    private readonly SafeFileHandle? _pidfd;
    private readonly ulong _startTime;

    private PeerCredential(Ucred facts, SafeFileHandle? pidfd, ulong startTime)
    {
        Pid = facts.Pid;
        Uid = facts.Uid;
        Gid = facts.Gid;
        _pidfd = pidfd;
        _startTime = startTime;
    }

    /// <summary>In this process's own pid namespace; always positive.</summary>
    public int Pid { get; }

    /// <summary>The effective user id when it connected.</summary>
    public uint Uid { get; }

    /// <summary>The effective group id when it connected.</summary>
    public uint Gid { get; }

    /// <summary>Whether the kernel pins the process (Linux 6.5 on). Otherwise its start time tells it from a later one with its pid.</summary>
    public bool IsPinned => _pidfd is not null;

    /// <summary>Whether the process that connected still runs. False when that can't be told, and once the connection has ended.</summary>
    public bool IsAlive() => _pidfd is null
        ? ProcessStartTime.TryRead(Pid, out var startTime) && startTime == _startTime
        : Pidfd.IsAlive(_pidfd);

    public void Dispose() => _pidfd?.Dispose();

    public override string ToString() => $"pid {Pid}, uid {Uid}, gid {Gid}";

    /// <summary>Asks the kernel about the peer of a connected Unix socket; at accept, before anything is read from it.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="peer">The peer, when the answer is true.</param>
    /// <param name="problem">Why the peer can't be known, when the answer is false; otherwise empty.</param>
    internal static bool TryCapture(Socket socket, [NotNullWhen(true)] out PeerCredential? peer, out string problem) =>
        TryCapture(socket, TryPin, out peer, out problem);

    /// <inheritdoc cref="TryCapture(Socket, out PeerCredential?, out string)"/>
    /// <remarks>With the pin as an argument, so that a kernel without one can be tested on a kernel with one.</remarks>
    internal static bool TryCapture(Socket socket, Pin pin, [NotNullWhen(true)] out PeerCredential? peer, out string problem)
    {
        peer = null;
        if (socket.AddressFamily != AddressFamily.Unix)
        {
            problem = "the connection does not come over a Unix socket; its peer has no process here";
            return false;
        }

        Span<byte> answer = stackalloc byte[Marshal.SizeOf<Ucred>()];
        socket.GetRawSocketOption(SocketLevel, AskCredentials, answer);
        var facts = MemoryMarshal.Read<Ucred>(answer);
        if (facts.Pid <= 0)
        {
            problem = "the peer runs in a pid namespace that is not visible here; share the host's pid namespace with this process";
            return false;
        }

        if (!pin(socket, out var pidfd, out problem))
        {
            return false;
        }

        ulong startTime = 0;
        if (pidfd is null && !ProcessStartTime.TryRead(facts.Pid, out startTime))
        {
            problem = $"the peer, pid {facts.Pid}, ended while it was connecting";
            return false;
        }

        peer = new PeerCredential(facts, pidfd, startTime);
        return true;
    }

    /// <summary>How the peer's process is pinned.</summary>
    /// <returns>False with a problem when the peer is gone; true without a handle when this kernel can't pin.</returns>
    internal delegate bool Pin(Socket socket, out SafeFileHandle? pidfd, out string problem);

    private static bool TryPin(Socket socket, out SafeFileHandle? pidfd, out string problem)
    {
        pidfd = null;
        problem = "";
        Span<byte> answer = stackalloc byte[sizeof(int)];
        try
        {
            socket.GetRawSocketOption(SocketLevel, AskPidfd, answer);
            pidfd = new SafeFileHandle(MemoryMarshal.Read<int>(answer), ownsHandle: true);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ProtocolOption)
        {
            return true;
        }
        catch (SocketException e)
        {
            problem = $"the kernel does not pin the peer, which has probably ended: {e.Message}";
            return false;
        }
    }

    // struct ucred of unix(7).
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Ucred
    {
        public readonly int Pid;
        public readonly uint Uid;
        public readonly uint Gid;
    }
}
