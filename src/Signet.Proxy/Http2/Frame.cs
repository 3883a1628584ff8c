using System.Buffers.Binary;

namespace Signet.Proxy.Http2;

/// <summary>The frame types of RFC 9113 §6. Others are ignored (§4.1).</summary>
public enum FrameType : byte
{
    Data = 0x0,
    Headers = 0x1,
    Priority = 0x2,
    ResetStream = 0x3,
    Settings = 0x4,
    PushPromise = 0x5,
    Ping = 0x6,
    GoAway = 0x7,
    WindowUpdate = 0x8,
    Continuation = 0x9,
}

/// <summary>The flags that are defined; which of them a frame knows depends on its type.</summary>
[Flags]
public enum FrameFlags : byte
{
    None = 0,
    Ack = 0x1,
    EndStream = 0x1,
    EndHeaders = 0x4,
    Padded = 0x8,
    Priority = 0x20,
}

/// <summary>The parameters of SETTINGS (RFC 9113 §6.5.2). Others are ignored.</summary>
public enum SettingId : ushort
{
    HeaderTableSize = 0x1,
    EnablePush = 0x2,
    MaxConcurrentStreams = 0x3,
    InitialWindowSize = 0x4,
    MaxFrameSize = 0x5,
    MaxHeaderListSize = 0x6,
}

/// <summary>
/// The fixed part of every frame (RFC 9113 §4.1):
/// <code>
/// Length (24), Type (8), Flags (8), Reserved (1), Stream Identifier (31)
/// </code>
/// </summary>
public readonly record struct FrameHeader(int Length, FrameType Type, FrameFlags Flags, int StreamId)
{
    public const int Size = 9;

    /// <summary>What every peer accepts, and what Signet accepts: larger frames would only make others wait longer.</summary>
    public const int MaxPayload = 16 * 1024;

    /// <summary>The client's first octets (RFC 9113 §3.4).</summary>
    public static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;

    public bool Has(FrameFlags flag) => (Flags & flag) != 0;

    /// <summary>Reads a header; false while there are too few octets for one.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out FrameHeader header)
    {
        header = default;
        if (bytes.Length < Size)
        {
            return false;
        }

        header = new FrameHeader(
            (bytes[0] << 16) | BinaryPrimitives.ReadUInt16BigEndian(bytes[1..]),
            (FrameType)bytes[3],
            (FrameFlags)bytes[4],
            (int)(BinaryPrimitives.ReadUInt32BigEndian(bytes[5..]) & int.MaxValue));
        return true;
    }

    public void Write(Span<byte> to)
    {
        to[0] = (byte)(Length >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(to[1..], (ushort)Length);
        to[3] = (byte)Type;
        to[4] = (byte)Flags;
        BinaryPrimitives.WriteInt32BigEndian(to[5..], StreamId);
    }

    /// <summary>Takes padding, and the priority that is no longer used, off the payload of DATA or HEADERS (RFC 9113 §6.1, §6.2).</summary>
    /// <returns>False when what they claim is more than the payload holds.</returns>
    public bool TryStrip(ref ReadOnlySpan<byte> payload)
    {
        var padding = 0;
        if (Has(FrameFlags.Padded))
        {
            if (payload.IsEmpty)
            {
                return false;
            }

            padding = payload[0];
            payload = payload[1..];
        }

        const int priority = 5;
        if (Type == FrameType.Headers && Has(FrameFlags.Priority))
        {
            if (payload.Length < priority)
            {
                return false;
            }

            payload = payload[priority..];
        }

        if (padding > payload.Length)
        {
            return false;
        }

        payload = payload[..^padding];
        return true;
    }
}
