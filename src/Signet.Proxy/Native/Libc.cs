using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace Signet.Proxy.Native;

/// <summary>
/// The system calls of the loop, as Linux defines them on x86-64 and arm64. Each returns what the kernel returned; errno is read with
/// <see cref="Marshal.GetLastPInvokeError"/> right after. Only <c>Loop</c> calls these, <c>Handover</c> where sockets go to another process, and who gives memory back.
/// </summary>
internal static unsafe partial class Libc
{
    public const int AfInet = 2;
    public const int AfInet6 = 10;
    public const int SockStream = 1;
    public const int SockNonBlock = 0x800;
    public const int SockCloseOnExec = 0x80000;
    public const int DuplicateCloseOnExec = 1030;

    public const int SolIp = 0;
    public const int SoOriginalDestination = 80;
    public const int IpBindAddressNoPort = 24;
    public const int SolIpV6 = 41;

    public const int SolSocket = 1;
    public const int SoError = 4;
    public const int SoLinger = 13;
    public const int IpProtoTcp = 6;
    public const int TcpNoDelay = 1;

    public const int MsgControlTruncated = 8;
    public const int MsgDontWait = 0x40;
    public const int MsgNoSignal = 0x4000;
    public const int MsgMore = 0x8000;
    public const int MsgCloseOnExec = 0x40000000;
    public const int ScmRights = 1;
    public const int ShutWrite = 1;

    public const int EpollCloseOnExec = 0x80000;
    public const int EpollAdd = 1;
    public const int EpollDelete = 2;
    public const uint EpollIn = 1;
    public const uint EpollUrgent = 2;
    public const uint EpollOut = 4;
    public const uint EpollError = 8;
    public const uint EpollHangUp = 0x10;
    public const uint EpollReadHangUp = 0x2000;
    public const uint EpollExclusive = 1u << 28;
    public const uint EpollEdge = 1u << 31;

    public const int EventFdFlags = SockNonBlock | SockCloseOnExec;

    // errno
    public const int EIntr = 4;
    public const int EAgain = 11;
    public const int ENFile = 23;
    public const int EMFile = 24;
    public const int ENoBufs = 105;
    public const int ENoMem = 12;
    public const int EInProgress = 115;

    /// <summary>The kernel's largest socket address.</summary>
    public const int MaxAddress = 128;

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    public static partial int Bind(int fd, byte* address, int length);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(int fd, byte* address, int length);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    public static partial int Accept(int fd, byte* address, int* length, int flags);

    [LibraryImport("libc", EntryPoint = "getsockname", SetLastError = true)]
    public static partial int GetSocketName(int fd, byte* address, int* length);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    public static partial int GetSocketOption(int fd, int level, int option, void* value, int* length);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetSocketOption(int fd, int level, int option, void* value, int length);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(int fd, byte* buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(int fd, byte* buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int TrimHeap(nint keep);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(int fd, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessage(int fd, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int fd, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    public static partial int Shutdown(int fd, int how);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int EpollControl(int epoll, int operation, int fd, void* registration);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int EpollWait(int epoll, void* events, int capacity, int timeoutMilliseconds);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int fd, void* buffer, nint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int fd, void* buffer, nint length);

    /// <summary>Gives what native code has freed back to the kernel; does nothing where the library keeps no more than it needs, or cannot say.</summary>
    public static void Trim()
    {
        try
        {
            _ = TrimHeap(0);
        }
        catch (EntryPointNotFoundException)
        {
            // Not glibc.
        }
    }

    /// <summary>A second descriptor for what a descriptor stands for.</summary>
    public static int Duplicate(int fd) => Control(fd, DuplicateCloseOnExec, 0);

    /// <summary>Sends bytes over a Unix socket, and with the first of them descriptors (unix(7), SCM_RIGHTS).</summary>
    public static nint SendWithDescriptors(int fd, ReadOnlySpan<byte> bytes, ReadOnlySpan<int> descriptors)
    {
        var control = stackalloc byte[ControlSpace(descriptors.Length)];
        fixed (byte* from = bytes)
        {
            var part = new MessagePart { Start = from, Length = bytes.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1 };
            if (!descriptors.IsEmpty)
            {
                *(ControlHeader*)control = new ControlHeader { Length = sizeof(ControlHeader) + (sizeof(int) * descriptors.Length), Level = SolSocket, Type = ScmRights };
                descriptors.CopyTo(new Span<int>(control + sizeof(ControlHeader), descriptors.Length));
                message.Control = control;
                message.ControlLength = ControlSpace(descriptors.Length);
            }

            return SendMessage(fd, &message, MsgNoSignal | MsgDontWait);
        }
    }

    /// <summary>Receives bytes over a Unix socket, and the descriptors that came with them; those are the caller's to close.</summary>
    /// <param name="fd">The socket.</param>
    /// <param name="into">Room for bytes.</param>
    /// <param name="descriptors">Room for descriptors; the kernel closes those for which there is none.</param>
    /// <param name="count">How many came.</param>
    /// <param name="wasTruncated">Whether there were more than that.</param>
    public static nint ReceiveWithDescriptors(int fd, Span<byte> into, Span<int> descriptors, out int count, out bool wasTruncated)
    {
        var control = stackalloc byte[ControlSpace(descriptors.Length)];
        fixed (byte* to = into)
        {
            var part = new MessagePart { Start = to, Length = into.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1, Control = control, ControlLength = ControlSpace(descriptors.Length) };
            var received = ReceiveMessage(fd, &message, MsgDontWait | MsgCloseOnExec);
            (count, wasTruncated) = (0, received >= 0 && (message.Flags & MsgControlTruncated) != 0);
            if (received < 0 || message.ControlLength < sizeof(ControlHeader))
            {
                return received;
            }

            // No other kind is switched on for the socket, and one call never brings the descriptors of two sends.
            var header = *(ControlHeader*)control;
            if (header is { Level: SolSocket, Type: ScmRights })
            {
                count = (int)(header.Length - sizeof(ControlHeader)) / sizeof(int);
                new ReadOnlySpan<int>(control + sizeof(ControlHeader), count).CopyTo(descriptors);
            }

            return received;
        }
    }

    // CMSG_SPACE: a header, and the descriptors up to the next multiple of a word.
    private static int ControlSpace(int descriptors) => sizeof(ControlHeader) + (((sizeof(int) * descriptors) + sizeof(nint) - 1) & ~(sizeof(nint) - 1));

    /// <summary>What the kernel says about the last failed call, in words.</summary>
    public static string Words(int errno) => Marshal.GetPInvokeErrorMessage(errno);

    // struct iovec, struct msghdr and struct cmsghdr of 64-bit Linux.
    private struct MessagePart
    {
        public byte* Start;
        public nint Length;
    }

    private struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public MessagePart* Parts;
        public nint PartCount;
        public void* Control;
        public nint ControlLength;
        public int Flags;
    }

    private struct ControlHeader
    {
        public nint Length;
        public int Level;
        public int Type;
    }
}
