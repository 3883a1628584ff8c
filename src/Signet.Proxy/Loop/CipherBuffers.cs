using System.Runtime.InteropServices;

namespace Signet.Proxy.Loop;

/// <summary>
/// Where a TLS library finds received records and leaves those to send, during one call on a loop's thread: one pair of buffers for all
/// connections of the loop. Between calls nothing of a connection is in them.
/// </summary>
internal sealed unsafe class CipherBuffers : IDisposable
{
    /// <summary>Bytes received at once: four of TLS's largest records, and some.</summary>
    public const int InCapacity = 66 * 1024;

    /// <summary>The largest payload of a record, with its padding.</summary>
    private const int ScratchCapacity = 17 * 1024;

    /// <summary>More than this in one call is no TLS.</summary>
    private const int MaxOut = 4 * 1024 * 1024;
    private const int FirstOut = 80 * 1024;

    private readonly byte* _receive = (byte*)NativeMemory.Alloc(InCapacity);
    private readonly byte* _scratch = (byte*)NativeMemory.Alloc(ScratchCapacity);

    public CipherBuffers()
    {
        State = (Cursor*)NativeMemory.AllocZeroed((nuint)sizeof(Cursor));
        State->Out = (byte*)NativeMemory.Alloc(FirstOut);
        State->OutCapacity = FirstOut;
    }

    /// <summary>What native callbacks are given.</summary>
    public Cursor* State { get; private set; }

    /// <summary>The room for bytes from a socket.</summary>
    public Span<byte> ReceiveRoom => new(_receive, InCapacity);

    /// <summary>Room for one record's payload while it is looked at.</summary>
    public byte* Scratch => _scratch;

    /// <summary>Bytes that were given and not taken.</summary>
    public ReadOnlySpan<byte> Unread => new(State->In, State->InLength);

    /// <summary>Bytes to send.</summary>
    public ReadOnlySpan<byte> Out => new(State->Out, State->OutLength);

    /// <summary>Offers the first bytes of <see cref="ReceiveRoom"/>.</summary>
    public void OfferReceived(int count) => Offer(_receive, count);

    /// <summary>Offers bytes at an address that stays until they are taken or withdrawn.</summary>
    public void Offer(byte* bytes, int count)
    {
        State->In = bytes;
        State->InLength = count;
    }

    public void ClearIn() => State->InLength = 0;

    public void ClearOut() => State->OutLength = 0;

    /// <summary>Takes back what was added to send after the first <paramref name="length"/> bytes.</summary>
    public void CutOut(int length) => State->OutLength = length;

    /// <summary>Room behind what is to be sent; what is written there counts after <see cref="Added"/>.</summary>
    /// <exception cref="IOException">It would be too much.</exception>
    public byte* RoomOut(int count) => State->HasRoom(count) ? State->Out + State->OutLength : throw new IOException("more is to be sent in one go than can be");

    /// <summary>Adds bytes to send.</summary>
    /// <exception cref="IOException">It would be too much.</exception>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(new Span<byte>(RoomOut(bytes.Length), bytes.Length));
        Added(bytes.Length);
    }

    public void Added(int count) => State->OutLength += count;

    public void Dispose()
    {
        NativeMemory.Free(_receive);
        NativeMemory.Free(_scratch);
        NativeMemory.Free(State->Out);
        NativeMemory.Free(State);
        State = null;
    }

    /// <summary>The native side of the buffers.</summary>
    internal struct Cursor
    {
        public byte* In;
        public int InLength;
        public byte* Out;
        public int OutLength;
        public int OutCapacity;

        /// <summary>Takes up to <paramref name="count"/> of the offered bytes; 0 when there are none.</summary>
        public int Take(byte* into, int count)
        {
            count = Math.Min(count, InLength);
            NativeMemory.Copy(In, into, (nuint)count);
            In += count;
            InLength -= count;
            return count;
        }

        /// <summary>Adds bytes to send; false when it would be too many.</summary>
        public bool Put(byte* from, int count)
        {
            if (!HasRoom(count))
            {
                return false;
            }

            NativeMemory.Copy(from, Out + OutLength, (nuint)count);
            OutLength += count;
            return true;
        }

        /// <summary>Makes room for so many more bytes to send; false when it would be too many.</summary>
        public bool HasRoom(int count)
        {
            if (count > OutCapacity - OutLength)
            {
                var wanted = Math.Max((long)OutCapacity * 2, (long)OutLength + count);
                if (wanted > MaxOut)
                {
                    return false;
                }

                Out = (byte*)NativeMemory.Realloc(Out, (nuint)wanted);
                OutCapacity = (int)wanted;
            }

            return true;
        }
    }
}
