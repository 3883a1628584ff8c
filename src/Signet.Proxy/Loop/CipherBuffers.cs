using System.Runtime.InteropServices;

namespace Signet.Proxy.Loop;

/// <summary>
/// Where a TLS library finds received records and leaves those to send, during one call on a loop's thread: one pair of buffers for all
/// connections of the loop. Between calls nothing of a connection is in them.
/// </summary>
internal sealed unsafe class CipherBuffers : IDisposable
{
    /// <summary>Bytes received at once.</summary>
    public const int InCapacity = 64 * 1024;

    /// <summary>More than this in one call is no TLS.</summary>
    private const int MaxOut = 4 * 1024 * 1024;
    private const int FirstOut = 80 * 1024;

    private readonly byte* _receive = (byte*)NativeMemory.Alloc(InCapacity);

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

    public void Dispose()
    {
        NativeMemory.Free(_receive);
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

            NativeMemory.Copy(from, Out + OutLength, (nuint)count);
            OutLength += count;
            return true;
        }
    }
}
