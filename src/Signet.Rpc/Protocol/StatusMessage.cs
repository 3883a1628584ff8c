using System.Globalization;
using System.Text;

namespace Signet.Rpc.Protocol;

/// <summary>
/// The <c>grpc-message</c> header. gRPC over HTTP/2:
/// <code>
/// Percent-Encoded → 1*(Percent-Byte-Unencoded / Percent-Byte-Encoded)
/// Percent-Byte-Unencoded → 1*( %x20-%x24 / %x26-%x7E )   ; space and VCHAR, except "%"
/// Percent-Byte-Encoded → "%" 2HEXDIGIT                     ; a byte of the UTF-8 form
/// </code>
/// </summary>
internal static class StatusMessage
{
    /// <summary>The longest text that is sent, in characters; a longer one is cut, so that it fits a peer's header limit.</summary>
    public const int MaxLength = 1024;

    public static string Encode(string text)
    {
        var cut = text.Length > MaxLength ? text.AsSpan(0, char.IsHighSurrogate(text[MaxLength - 1]) ? MaxLength - 1 : MaxLength) : text;
        var utf8 = new byte[Encoding.UTF8.GetByteCount(cut)];
        Encoding.UTF8.GetBytes(cut, utf8);
        var encoded = new StringBuilder(utf8.Length);
        foreach (var b in utf8)
        {
            if (b is >= 0x20 and <= 0x7E and not (byte)'%')
            {
                encoded.Append((char)b);
            }
            else
            {
                encoded.Append('%').Append(b.ToString("X2", CultureInfo.InvariantCulture));
            }
        }

        return encoded.ToString();
    }

    /// <summary>Never fails: what is not an encoding stands for itself, what is not UTF-8 becomes U+FFFD.</summary>
    public static string Decode(string encoded)
    {
        if (!encoded.Contains('%', StringComparison.Ordinal))
        {
            return encoded;
        }

        var source = Encoding.UTF8.GetBytes(encoded);
        var decoded = new byte[source.Length];
        var length = 0;
        for (var i = 0; i < source.Length; i++)
        {
            if (source[i] == '%' && i + 2 < source.Length
                && byte.TryParse(source.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var b))
            {
                decoded[length++] = b;
                i += 2;
            }
            else
            {
                decoded[length++] = source[i];
            }
        }

        return Encoding.UTF8.GetString(decoded, 0, length);
    }
}
