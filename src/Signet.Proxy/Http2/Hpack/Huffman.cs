namespace Signet.Proxy.Http2.Hpack;

/// <summary>
/// The static Huffman code (RFC 7541 §5.2, appendix B). The code is canonical, within a length its codes count up in the order of the symbols,
/// so that the lengths alone define it.
/// </summary>
internal static class Huffman
{
    private const int EndOfString = 256;
    private const int LongestCode = 30;
    private const int FastBits = 8;

    /// <summary>Bits of each octet's code.</summary>
    private static ReadOnlySpan<byte> Lengths =>
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
        28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
        6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
        21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
        19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    ];

    private static readonly Code[] Codes = MakeCodes();

    /// <summary>By the next eight bits: symbol and length when the code is that short, else 0.</summary>
    private static readonly ushort[] Fast = MakeFast();

    private static readonly Row[] Rows = MakeRows();

    /// <summary>Octets that a string of so many encoded octets can at most become: the shortest code has five bits.</summary>
    public static int MaxDecoded(int encoded) => (encoded * 8 / 5) + 1;

    /// <summary>Decodes a whole string.</summary>
    /// <param name="encoded">The string's octets.</param>
    /// <param name="decoded">At least <see cref="MaxDecoded"/> octets.</param>
    /// <param name="length">Octets that were written.</param>
    public static HpackProblem TryDecode(ReadOnlySpan<byte> encoded, Span<byte> decoded, out int length)
    {
        length = 0;
        ulong bits = 0;
        var count = 0;
        while (true)
        {
            while (count <= 56 && !encoded.IsEmpty)
            {
                bits |= (ulong)encoded[0] << (56 - count);
                count += 8;
                encoded = encoded[1..];
            }

            if (count == 0)
            {
                return HpackProblem.None;
            }

            var fast = Fast[bits >> (64 - FastBits)];
            var (symbol, used) = fast != 0 ? (fast >> 8, fast & 0xff) : Slow(bits);
            if (used > count)
            {
                // What is left is no whole code: the padding, fewer than eight ones (§5.2).
                return count < 8 && bits >> (64 - count) == (1u << count) - 1 ? HpackProblem.None : HpackProblem.HuffmanPadding;
            }

            if (symbol == EndOfString)
            {
                return HpackProblem.HuffmanEndOfString;
            }

            decoded[length++] = (byte)symbol;
            bits <<= used;
            count -= used;
        }
    }

    /// <summary>The code of an octet, for whoever encodes.</summary>
    public static (uint Bits, int Length) CodeOf(byte octet) => (Codes[octet].Bits, Codes[octet].Length);

    private static (int Symbol, int Length) Slow(ulong bits)
    {
        foreach (var row in Rows)
        {
            var index = (long)(bits >> (64 - row.Length)) - row.First;
            if (index >= 0 && index < row.Symbols.Length)
            {
                return (row.Symbols[index], row.Length);
            }
        }

        // Every sequence of thirty bits begins with a code: the code is complete.
        return (EndOfString, LongestCode);
    }

    private static Code[] MakeCodes()
    {
        var codes = new Code[EndOfString + 1];
        uint next = 0;
        var last = 0;
        foreach (var symbol in Enumerable.Range(0, codes.Length).OrderBy(LengthOf))
        {
            next <<= LengthOf(symbol) - last;
            last = LengthOf(symbol);
            codes[symbol] = new Code(next++, last);
        }

        return codes;
    }

    private static int LengthOf(int symbol) => symbol == EndOfString ? LongestCode : Lengths[symbol];

    private static ushort[] MakeFast()
    {
        var fast = new ushort[1 << FastBits];
        for (var symbol = 0; symbol < EndOfString; symbol++)
        {
            var (bits, length) = Codes[symbol];
            if (length <= FastBits)
            {
                var spare = FastBits - length;
                fast.AsSpan((int)bits << spare, 1 << spare).Fill((ushort)((symbol << 8) | length));
            }
        }

        return fast;
    }

    private static Row[] MakeRows() =>
    [
        .. Codes.Select((code, symbol) => (code, symbol)).Where(entry => entry.code.Length > FastBits).GroupBy(entry => entry.code.Length).OrderBy(group => group.Key)
            .Select(group => new Row(group.Key, group.Min(entry => entry.code.Bits), [.. group.OrderBy(entry => entry.code.Bits).Select(entry => entry.symbol)])),
    ];

    private readonly record struct Code(uint Bits, int Length);

    /// <summary>The codes of one length: they count up from the first.</summary>
    private sealed record Row(int Length, long First, int[] Symbols);
}
