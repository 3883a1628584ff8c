using System.Buffers;
using System.Text;

namespace Signet.Proxy.Http2.Hpack;

/// <summary>
/// Decodes the header blocks of one direction of a connection, in the order in which they arrived (RFC 7541 §3). Not thread-safe. Whatever it
/// keeps is bounded by <paramref name="tableSize"/>, whatever it makes of a block by the block's length.
/// </summary>
/// <param name="tableSize">What SETTINGS_HEADER_TABLE_SIZE allows the sender, in octets.</param>
public sealed class HpackDecoder(int tableSize = HpackDecoder.DefaultTableSize)
{
    /// <summary>What holds where no setting says otherwise (RFC 9113 §6.5.2).</summary>
    public const int DefaultTableSize = 4096;

    /// <summary>A sender needs two updates at most: the smallest size between two blocks, and the last (RFC 7541 §4.2).</summary>
    private const int MaxSizeUpdates = 2;

    private readonly DynamicTable _table = new(tableSize);

    /// <summary>Decodes a whole block. After a problem the decoder is of no further use.</summary>
    public HpackProblem TryDecode(ReadOnlySpan<byte> block, FieldSection section)
    {
        var updates = 0;
        var hasFields = false;
        while (!block.IsEmpty)
        {
            var problem = HpackProblem.None;
            var octet = block[0];

            // 001xxxxx dynamic table size update, only before the first field (§4.2, §6.3)
            if ((octet & 0xe0) == 0x20)
            {
                problem = HpackInteger.TryRead(ref block, 5, out var size);
                problem = problem != HpackProblem.None ? problem
                    : hasFields || ++updates > MaxSizeUpdates ? HpackProblem.SizeUpdateMisplaced
                    : size > tableSize ? HpackProblem.SizeUpdateTooLarge
                    : HpackProblem.None;
                if (problem != HpackProblem.None)
                {
                    return problem;
                }

                _table.Resize(size);
                continue;
            }

            hasFields = true;
            KeyValuePair<string, string> field = default;
            if (octet >= 0x80)
            {
                // 1xxxxxxx indexed field (§6.1)
                problem = HpackInteger.TryRead(ref block, 7, out var index);
                problem = problem != HpackProblem.None ? problem : Find(index, out field);
            }
            else
            {
                // 01xxxxxx literal with indexing, 0001xxxx never indexed, 0000xxxx without indexing (§6.2)
                var isIndexed = octet >= 0x40;
                problem = ReadLiteral(ref block, isIndexed ? 6 : 4, out field);
                if (isIndexed && problem == HpackProblem.None)
                {
                    _table.Insert(field);
                }
            }

            if (problem != HpackProblem.None)
            {
                return problem;
            }

            section.Add(field);
        }

        return HpackProblem.None;
    }

    private HpackProblem Find(int index, out KeyValuePair<string, string> field)
    {
        field = default;
        if (index == 0 || index > StaticTable.Count + _table.Count)
        {
            return HpackProblem.IndexUnknown;
        }

        field = index <= StaticTable.Count ? StaticTable.Entry(index) : _table.Entry(index - StaticTable.Count - 1);
        return HpackProblem.None;
    }

    private HpackProblem ReadLiteral(ref ReadOnlySpan<byte> block, int prefixBits, out KeyValuePair<string, string> field)
    {
        field = default;
        var problem = HpackInteger.TryRead(ref block, prefixBits, out var index);
        if (problem != HpackProblem.None)
        {
            return problem;
        }

        string name;
        if (index == 0)
        {
            problem = ReadString(ref block, out name);
        }
        else
        {
            problem = Find(index, out var named);
            name = named.Key;
        }

        if (problem != HpackProblem.None)
        {
            return problem;
        }

        problem = ReadString(ref block, out var value);
        field = new(name, value);
        return problem;
    }

    // string = H (1 bit), length (7-bit prefix), octets (§5.2)
    private static HpackProblem ReadString(ref ReadOnlySpan<byte> block, out string text)
    {
        text = "";
        var isHuffman = !block.IsEmpty && block[0] >= 0x80;
        var problem = HpackInteger.TryRead(ref block, 7, out var length);
        if (problem != HpackProblem.None)
        {
            return problem;
        }

        if (length > block.Length)
        {
            return HpackProblem.Truncated;
        }

        var octets = block[..length];
        block = block[length..];
        if (!isHuffman)
        {
            text = Encoding.Latin1.GetString(octets);
            return HpackProblem.None;
        }

        const int onStack = 512;
        var most = Huffman.MaxDecoded(length);
        var rented = most > onStack ? ArrayPool<byte>.Shared.Rent(most) : null;
        Span<byte> decoded = rented ?? stackalloc byte[onStack];
        problem = Huffman.TryDecode(octets, decoded, out var count);
        if (problem == HpackProblem.None)
        {
            text = Encoding.Latin1.GetString(decoded[..count]);
        }

        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        return problem;
    }
}
