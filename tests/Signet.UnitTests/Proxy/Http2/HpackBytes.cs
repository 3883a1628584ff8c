using System.Buffers;
using System.Text;
using Signet.Proxy.Http2.Hpack;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>Blocks as a sender with every means of the format would write them: the product's own encoder uses only some.</summary>
internal static class HpackBytes
{
    public static byte[] FromHex(string hex) => Convert.FromHexString(hex.Replace(" ", "").Replace("\n", ""));

    public static byte[] Integer(byte pattern, int prefixBits, int value)
    {
        var output = new ArrayBufferWriter<byte>();
        HpackInteger.Write(output, pattern, prefixBits, value);
        return output.WrittenSpan.ToArray();
    }

    public static byte[] Text(string text, bool huffman)
    {
        var octets = huffman ? Huffman(text) : Encoding.Latin1.GetBytes(text);
        return [.. Integer(huffman ? (byte)0x80 : (byte)0, 7, octets.Length), .. octets];
    }

    public static byte[] Literal(string name, string value, bool indexed = false, bool huffman = false) =>
        [indexed ? (byte)0x40 : (byte)0, .. Text(name, huffman), .. Text(value, huffman)];

    public static byte[] Huffman(string text)
    {
        var bits = new StringBuilder();
        foreach (var octet in Encoding.Latin1.GetBytes(text))
        {
            var (code, length) = Signet.Proxy.Http2.Hpack.Huffman.CodeOf(octet);
            bits.Append(Convert.ToString(code, 2).PadLeft(length, '0'));
        }

        bits.Append('1', (8 - (bits.Length % 8)) % 8);
        return [.. Enumerable.Range(0, bits.Length / 8).Select(i => Convert.ToByte(bits.ToString(i * 8, 8), 2))];
    }

    public static byte[] Encode(params (string Name, string Value)[] fields) => Encode(new HpackEncoder(), fields);

    public static byte[] Encode(HpackEncoder encoder, params (string Name, string Value)[] fields)
    {
        var output = new ArrayBufferWriter<byte>();
        encoder.Begin(output);
        foreach (var (name, value) in fields)
        {
            HpackEncoder.Write(output, name, value);
        }

        return output.WrittenSpan.ToArray();
    }

    public static (HpackProblem Problem, (string Name, string Value)[] Fields) Decode(byte[] block) => Decode(new HpackDecoder(), block);

    public static (HpackProblem Problem, (string Name, string Value)[] Fields) Decode(HpackDecoder decoder, byte[] block)
    {
        var section = new FieldSection(64 * 1024, 1000);
        var problem = decoder.TryDecode(block, section);
        return (problem, [.. section.Fields.Select(field => (field.Key, field.Value))]);
    }
}
