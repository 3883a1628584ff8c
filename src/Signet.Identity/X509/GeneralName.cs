using System.Formats.Asn1;
using System.Net;
using System.Text;

namespace Signet.Identity.X509;

/// <summary>The kinds of names a certificate can carry; the values are the context tags of RFC 5280 §4.2.1.6.</summary>
public enum GeneralNameKind
{
    Other = 0,
    Email = 1,
    Dns = 2,
    X400 = 3,
    Directory = 4,
    EdiParty = 5,
    Uri = 6,
    Ip = 7,
    RegisteredId = 8,
}

/// <summary>One alternative name: its kind, its content and, for e-mail, DNS and URI names, the ASCII text. Immutable.</summary>
/// <param name="Kind">Which kind of name.</param>
/// <param name="Content">The content bytes: address bytes for IP, an encoded <c>Name</c> for a directory name.</param>
/// <param name="Text">The text of an e-mail, DNS or URI name; empty for the other kinds. Not safe to log as it stands.</param>
public readonly record struct GeneralName(GeneralNameKind Kind, ReadOnlyMemory<byte> Content, string Text)
{
    /// <exception cref="AsnContentException">Not a general name, or one whose text is not ASCII.</exception>
    internal static GeneralName Read(AsnReader reader)
    {
        var tag = reader.PeekTag();
        if (tag.TagClass != TagClass.ContextSpecific || tag.TagValue > (int)GeneralNameKind.RegisteredId)
        {
            throw new AsnContentException("a general name has an unknown tag");
        }

        var kind = (GeneralNameKind)tag.TagValue;
        if (tag.IsConstructed != (kind is GeneralNameKind.Other or GeneralNameKind.X400 or GeneralNameKind.Directory or GeneralNameKind.EdiParty))
        {
            throw new AsnContentException("a general name has the wrong encoding");
        }

        var content = ContentOf(reader.ReadEncodedValue());
        var text = kind is GeneralNameKind.Email or GeneralNameKind.Dns or GeneralNameKind.Uri ? Ascii(content.Span) : "";
        return new GeneralName(kind, content, text);
    }

    /// <summary>The address of an IP name, or null when it is not 4 or 16 bytes long.</summary>
    internal IPAddress? Address => Kind == GeneralNameKind.Ip && Content.Length is 4 or 16 ? new IPAddress(Content.Span) : null;

    private static ReadOnlyMemory<byte> ContentOf(ReadOnlyMemory<byte> encoded)
    {
        AsnDecoder.ReadEncodedValue(encoded.Span, AsnEncodingRules.DER, out var offset, out var length, out _);
        return encoded.Slice(offset, length);
    }

    private static string Ascii(ReadOnlySpan<byte> content) =>
        content.ContainsAnyExceptInRange((byte)1, (byte)0x7f) ? throw new AsnContentException("a name has a character that is not ASCII") : Encoding.ASCII.GetString(content);
}
