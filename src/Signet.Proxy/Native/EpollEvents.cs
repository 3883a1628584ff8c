using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Signet.Proxy.Native;

/// <summary>
/// An array of <c>struct epoll_event</c>, which is packed on x86-64 (12 bytes) and aligned elsewhere (16 bytes).
/// </summary>
internal sealed unsafe class EpollEvents(int capacity) : IDisposable
{
    private static readonly int Size = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int DataOffset = Size - sizeof(ulong);

    private readonly byte* _events = (byte*)NativeMemory.AllocZeroed((nuint)(capacity * Size));

    public int Capacity => capacity;

    public void* Pointer => _events;

    public (uint Events, ulong Data) this[int index] =>
        (*(uint*)(_events + (index * Size)), BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(_events + (index * Size) + DataOffset, sizeof(ulong))));

    /// <summary>Adds a descriptor; 0 or -1, as the kernel says.</summary>
    public static int Add(int epoll, int fd, uint events, ulong data)
    {
        var registration = stackalloc byte[16];
        *(uint*)registration = events;
        BinaryPrimitives.WriteUInt64LittleEndian(new Span<byte>(registration + DataOffset, sizeof(ulong)), data);
        return Libc.EpollControl(epoll, Libc.EpollAdd, fd, registration);
    }

    public void Dispose() => NativeMemory.Free(_events);
}
