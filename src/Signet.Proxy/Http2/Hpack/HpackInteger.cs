using System.Buffers;

namespace Signet.Proxy.Http2.Hpack;

/// <summary>
/// Integers with an N-bit prefix (RFC 7541 §5.1):
/// <code>
/// if I &lt; 2^N - 1, encode I on N bits
/// else encode 2^N - 1 on N bits; I -= 2^N - 1
///      while I &gt;= 128: encode (I mod 128 + 128) on 8 bits; I /= 128
///      encode I on 8 bits
/// </code>
/// </summary>
internal static class HpackInteger
{
    /// <summary>Octets after the prefix: values up to 2^28, far above every length and index that is accepted.</summary>
    private const int MaxContinuation = 4;

    /// <summary>Takes an integer from the front of the block. The prefix is the low bits of the first octet.</summary>
    public static HpackProblem TryRead(ref ReadOnlySpan<byte> block, int prefixBits, out int value)
    {
        value = 0;
        if (block.IsEmpty)
        {
            return HpackProblem.Truncated;
        }

        var most = (1 << prefixBits) - 1;
        value = block[0] & most;
        block = block[1..];
        if (value < most)
        {
            return HpackProblem.None;
        }

        for (var i = 0; i < MaxContinuation; i++)
        {
            if (block.IsEmpty)
            {
                return HpackProblem.Truncated;
            }

            var octet = block[0];
            block = block[1..];
            value += (octet & 0x7f) << (7 * i);
            if (octet < 0x80)
            {
                return HpackProblem.None;
            }
        }

        return HpackProblem.IntegerTooLong;
    }

    /// <param name="output">Where the octets go.</param>
    /// <param name="pattern">The bits above the prefix.</param>
    /// <param name="prefixBits">1 to 8.</param>
    /// <param name="value">Not negative.</param>
    public static void Write(IBufferWriter<byte> output, byte pattern, int prefixBits, int value)
    {
        var most = (1 << prefixBits) - 1;
        var span = output.GetSpan(6);
        if (value < most)
        {
            span[0] = (byte)(pattern | value);
            output.Advance(1);
            return;
        }

        span[0] = (byte)(pattern | most);
        value -= most;
        var length = 1;
        for (; value >= 0x80; value >>= 7)
        {
            span[length++] = (byte)(value | 0x80);
        }

        span[length++] = (byte)value;
        output.Advance(length);
    }
}
