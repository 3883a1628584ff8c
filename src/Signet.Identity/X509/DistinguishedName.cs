using System.Formats.Asn1;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>
/// A distinguished name (RFC 5280 §4.1.2.4). Two names are equal when RFC 5280 §7.1 says so: text compares without regard to case,
/// leading, trailing and repeated spaces, or to which string type carries it; everything else compares by its bytes. Immutable, thread-safe.
/// </summary>
public sealed class DistinguishedName : IEquatable<DistinguishedName>
{
    /// <summary>How many relative names, and how many attributes in all, a name may have.</summary>
    public const int MaxAttributes = 64;

    // Name ::= SEQUENCE OF RelativeDistinguishedName ::= SET OF { type OBJECT IDENTIFIER, value ANY }
    private readonly NameAttribute[] _attributes;
    private string[]? _comparable;
    private string? _text;

    private DistinguishedName(ReadOnlyMemory<byte> der, NameAttribute[] attributes)
    {
        Der = der;
        _attributes = attributes;
    }

    /// <summary>The name without attributes.</summary>
    public static DistinguishedName Empty { get; } = Of();

    /// <summary>The encoded <c>Name</c>.</summary>
    public ReadOnlyMemory<byte> Der { get; }

    public bool IsEmpty => _attributes.Length == 0;

    /// <summary>The values of one attribute, in the order of the encoding; values that are not text are left out.</summary>
    internal IEnumerable<string> Values(string type) => _attributes.Where(a => a.Type == type && a.Text is not null).Select(a => a.Text!);

    /// <summary>The last common name, or null.</summary>
    public string? CommonName => Values(Oids.CommonName).LastOrDefault();

    /// <summary>A name of these attributes, each its own relative name, in this order: <c>Of(("C", "US"), ("O", "Signet"))</c>.</summary>
    /// <exception cref="ArgumentException">A type is not one of C, ST, L, STREET, O, OU, CN, SERIALNUMBER, DC, UID.</exception>
    public static DistinguishedName Of(params IEnumerable<(string Type, string Value)> attributes)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            foreach (var (type, value) in attributes)
            {
                var oid = NameAttribute.OidOf(type) ?? throw new ArgumentException($"\"{type}\" is not a name attribute that Signet writes", nameof(attributes));
                using (writer.PushSetOf())
                using (writer.PushSequence())
                {
                    writer.WriteObjectIdentifier(oid);
                    writer.WriteCharacterString(NameAttribute.StringTypeOf(oid), value);
                }
            }
        }

        return Parse(writer.Encode());
    }

    /// <summary>Whether this name lies in the subtree that the other one is the root of (RFC 5280 §4.2.1.10, directoryName).</summary>
    internal bool IsWithin(DistinguishedName root)
    {
        var mine = Comparable();
        var theirs = root.Comparable();
        return theirs.Length <= mine.Length && mine.AsSpan(0, theirs.Length).SequenceEqual(theirs);
    }

    public bool Equals(DistinguishedName? other) =>
        other is not null && (Der.Span.SequenceEqual(other.Der.Span) || Comparable().AsSpan().SequenceEqual(other.Comparable()));

    public override bool Equals(object? obj) => Equals(obj as DistinguishedName);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var relativeName in Comparable())
        {
            hash.Add(relativeName, StringComparer.Ordinal);
        }

        return hash.ToHashCode();
    }

    /// <summary>The name for people, most specific first (RFC 4514): <c>CN=orders,O=Signet,C=US</c>. Safe to log.</summary>
    public override string ToString() => _text ??= string.Join(',', RelativeNames().Reverse().Select(r => string.Join('+', r.Select(a => a.ToString()))));

    /// <exception cref="AsnContentException">The bytes are not a name, or one beyond the limits.</exception>
    internal static DistinguishedName Parse(ReadOnlyMemory<byte> der)
    {
        var span = der.Span;
        AsnDecoder.ReadSequence(span, AsnEncodingRules.DER, out var at, out var length, out var consumed);
        if (consumed != span.Length)
        {
            throw new AsnContentException("a name has trailing bytes");
        }

        var attributes = new List<NameAttribute>(4);
        var relativeName = 0;
        for (var end = at + length; at < end; relativeName++)
        {
            AsnDecoder.ReadSetOf(span[at..end], AsnEncodingRules.DER, out var offset, out var setLength, out consumed);
            if (setLength == 0)
            {
                throw new AsnContentException("a relative name has no attribute");
            }

            for (var (inner, setEnd) = (at + offset, at + offset + setLength); inner < setEnd;)
            {
                if (attributes.Count == MaxAttributes)
                {
                    throw new AsnContentException($"a name has more than {MaxAttributes} attributes");
                }

                AsnDecoder.ReadSequence(span[inner..setEnd], AsnEncodingRules.DER, out var attributeOffset, out var attributeLength, out var attributeConsumed);
                attributes.Add(NameAttribute.Read(relativeName, der.Slice(inner + attributeOffset, attributeLength)));
                inner += attributeConsumed;
            }

            at += consumed;
        }

        return new DistinguishedName(der, [.. attributes]);
    }

    private IEnumerable<IGrouping<int, NameAttribute>> RelativeNames() => _attributes.GroupBy(a => a.RelativeName);

    private string[] Comparable() => _comparable ??= RelativeNames()
        .Select(r => string.Join('\u0001', r.Select(a => a.Comparable()).Order(StringComparer.Ordinal))).ToArray();
}

/// <summary>One attribute of a name: which relative name it belongs to, its type, its encoded value, and the text in it when it is text.</summary>
internal readonly record struct NameAttribute(int RelativeName, string Type, ReadOnlyMemory<byte> Value, string? Text)
{
    private static readonly (string Name, string Oid)[] Known =
    [
        ("CN", Oids.CommonName), ("O", Oids.Organization), ("OU", Oids.OrganizationalUnit), ("C", Oids.Country), ("L", Oids.Locality),
        ("ST", Oids.State), ("STREET", Oids.Street), ("DC", Oids.DomainComponent), ("UID", Oids.UserId), ("SERIALNUMBER", Oids.SerialNumber),
    ];

    public static string? OidOf(string name) => Array.Find(Known, k => string.Equals(k.Name, name, StringComparison.OrdinalIgnoreCase)).Oid;

    /// <summary>The string type that the attribute's definition asks for (RFC 5280 appendix A.1).</summary>
    public static UniversalTagNumber StringTypeOf(string oid) => oid switch
    {
        Oids.Country or Oids.SerialNumber => UniversalTagNumber.PrintableString,
        Oids.DomainComponent => UniversalTagNumber.IA5String,
        _ => UniversalTagNumber.UTF8String,
    };

    public static NameAttribute Read(int relativeName, ReadOnlyMemory<byte> attribute)
    {
        var type = AsnDecoder.ReadObjectIdentifier(attribute.Span, AsnEncodingRules.DER, out var typeLength);
        var value = attribute[typeLength..];
        var tag = AsnDecoder.ReadEncodedValue(value.Span, AsnEncodingRules.DER, out _, out _, out var consumed);
        if (consumed != value.Length)
        {
            throw new AsnContentException("an attribute of a name has trailing bytes");
        }

        var text = tag.TagClass == TagClass.Universal && (UniversalTagNumber)tag.TagValue is var kind && IsText(kind)
            ? AsnDecoder.ReadCharacterString(value.Span, AsnEncodingRules.DER, kind, out _)
            : null;
        return new NameAttribute(relativeName, type, value, text);
    }

    /// <summary>A form in which equal attributes have equal text (RFC 5280 §7.1; RFC 4518 §2 case folding and insignificant spaces).</summary>
    public string Comparable()
    {
        if (Text is null)
        {
            return Type + "#" + Convert.ToHexStringLower(Value.Span);
        }

        var folded = new StringBuilder(Type.Length + Text.Length + 1).Append(Type).Append('=');
        var start = folded.Length;
        foreach (var c in Text)
        {
            if (c is ' ' or '\t' or '\r' or '\n' or '\u00a0')
            {
                if (folded.Length > start && folded[^1] != ' ')
                {
                    folded.Append(' ');
                }
            }
            else if (c != '\u00ad')
            {
                folded.Append(char.ToLowerInvariant(c));
            }
        }

        return folded.Length > start && folded[^1] == ' ' ? folded.ToString(0, folded.Length - 1) : folded.ToString();
    }

    /// <summary>RFC 4514 §2.4: <c>TYPE=value</c> with specials escaped, or <c>oid=#hex</c> for what is not text.</summary>
    public override string ToString()
    {
        var type = Type;
        var name = Array.Find(Known, k => k.Oid == type).Name ?? (type == Oids.EmailAddress ? "emailAddress" : type);
        if (Text is null)
        {
            return name + "=#" + Convert.ToHexStringLower(Value.Span);
        }

        var text = new StringBuilder(name).Append('=');
        for (var i = 0; i < Text.Length; i++)
        {
            var c = Text[i];
            if (c is '"' or '+' or ',' or ';' or '<' or '>' or '\\' || (c == '#' && i == 0) || (c == ' ' && (i == 0 || i == Text.Length - 1)))
            {
                text.Append('\\').Append(c);
            }
            else
            {
                text.Append(c is >= ' ' and <= '~' ? c.ToString() : Escaped(c));
            }
        }

        return text.ToString();
    }

    private static string Escaped(char c) => char.IsLetterOrDigit(c) ? c.ToString() : Printable.Of(c);

    private static bool IsText(UniversalTagNumber kind) => kind is UniversalTagNumber.UTF8String or UniversalTagNumber.PrintableString
        or UniversalTagNumber.IA5String or UniversalTagNumber.TeletexString or UniversalTagNumber.BMPString or UniversalTagNumber.NumericString
        or UniversalTagNumber.VisibleString;
}
