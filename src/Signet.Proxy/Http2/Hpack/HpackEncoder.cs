using System.Buffers;
using System.Text;

namespace Signet.Proxy.Http2.Hpack;

/// <summary>
/// Encodes header blocks with the static table and literals only. It keeps no table of its own and says so at the start of the first block:
/// what one stream sends can then never be guessed at through the size of another's (RFC 7541 §7.1), blocks may be made in any order, and no
/// setting of the peer matters. Fields that carry secrets are marked never to be indexed by anybody on the way. Not thread-safe.
/// </summary>
public sealed class HpackEncoder
{
    private bool _saidNoTable;

    /// <summary>Begins a block.</summary>
    public void Begin(IBufferWriter<byte> output)
    {
        if (!_saidNoTable)
        {
            _saidNoTable = true;
            HpackInteger.Write(output, 0x20, 5, 0);
        }
    }

    /// <summary>Appends a field. The name is in lower case; both are Latin-1.</summary>
    public static void Write(IBufferWriter<byte> output, string name, string value)
    {
        var (field, known) = StaticTable.Find(name, value);
        if (field != 0)
        {
            HpackInteger.Write(output, 0x80, 7, field);
            return;
        }

        HpackInteger.Write(output, IsSensitive(name) ? (byte)0x10 : (byte)0, 4, known);
        if (known == 0)
        {
            WriteString(output, name);
        }

        WriteString(output, value);
    }

    /// <summary>Fields whose values are secrets, or short enough and fixed enough to be guessed (RFC 7541 §7.1.3).</summary>
    private static bool IsSensitive(string name) =>
        name is "authorization" or "proxy-authorization" or "cookie" or "set-cookie" or "x-forwarded-client-cert" or "client-cert" or "client-cert-chain";

    private static void WriteString(IBufferWriter<byte> output, string text)
    {
        HpackInteger.Write(output, 0, 7, text.Length);
        output.Advance(Encoding.Latin1.GetBytes(text, output.GetSpan(text.Length + 1)));
    }
}
