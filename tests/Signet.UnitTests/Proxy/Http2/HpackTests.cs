using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Http2.Hpack;

namespace Signet.UnitTests.Proxy.Http2;

public sealed class HpackTests
{
    private static readonly Gen<string> Texts =
        from length in Gen.Choose(0, 60)
        from octets in Gen.ArrayOf(Gen.Choose(0, 255), length)
        select new string([.. octets.Select(octet => (char)octet)]);

    [Fact]
    public void The_huffman_code_is_complete()
    {
        var sum = Enumerable.Range(0, 256).Sum(octet => Math.Pow(2, -Huffman.CodeOf((byte)octet).Length)) + Math.Pow(2, -30);
        Assert.Equal(1, sum);
    }

    [Fact]
    public void Decodes_whatever_was_encoded_by_any_means() => Prop.ForAll(
        Arb.From(
            from count in Gen.Choose(0, 12)
            from fields in Gen.ArrayOf(
                from name in Texts
                from value in Texts
                from indexed in Gen.Elements(true, false)
                from huffman in Gen.Elements(true, false)
                select (name, value, indexed, huffman), count)
            select fields),
        fields =>
        {
            var decoder = new HpackDecoder();
            for (var round = 0; round < 3; round++)
            {
                var (problem, decoded) = HpackBytes.Decode(decoder, [.. fields.SelectMany(field => HpackBytes.Literal(field.name, field.value, field.indexed, field.huffman))]);
                Assert.Equal(HpackProblem.None, problem);
                Assert.Equal(fields.Select(field => (field.name, field.value)), decoded);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Decodes_what_its_own_encoder_wrote() => Prop.ForAll(
        Arb.From(
            from count in Gen.Choose(0, 12)
            from fields in Gen.ArrayOf(
                from name in Gen.OneOf(Texts, Gen.Elements(":path", ":status", "cookie", "accept", "authorization"))
                from value in Gen.OneOf(Texts, Gen.Elements("/", "200", "GET"))
                select (name, value), count)
            select fields),
        fields =>
        {
            var (encoder, decoder) = (new HpackEncoder(), new HpackDecoder());
            for (var round = 0; round < 2; round++)
            {
                var (problem, decoded) = HpackBytes.Decode(decoder, HpackBytes.Encode(encoder, fields));
                Assert.Equal(HpackProblem.None, problem);
                Assert.Equal(fields, decoded);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Never_throws_whatever_arrives() => Prop.ForAll(
        Arb.From(from length in Gen.Choose(0, 200) from octets in Gen.ArrayOf(Gen.Choose(0, 255), length) select octets.Select(octet => (byte)octet).ToArray()),
        block =>
        {
            var decoder = new HpackDecoder(512);
            _ = HpackBytes.Decode(decoder, block);
            _ = HpackBytes.Decode(decoder, block);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_block_cut_anywhere_is_a_prefix_or_a_problem()
    {
        (string, string)[] fields = [(":method", "POST"), ("x-one", "two"), ("authorization", new string('s', 300)), ("x-last", "done")];
        var whole = HpackBytes.Encode(fields);
        for (var cut = 0; cut < whole.Length; cut++)
        {
            var (problem, decoded) = HpackBytes.Decode(whole[..cut]);
            Assert.True(problem is HpackProblem.None or HpackProblem.Truncated);
            Assert.Equal(fields.Take(decoded.Length), decoded);
            Assert.True(decoded.Length < fields.Length);
        }
    }

    [Theory]
    [InlineData("ffffffffff7f", HpackProblem.IntegerTooLong)]
    [InlineData("ff8080808000", HpackProblem.IntegerTooLong)]
    [InlineData("ffffffff", HpackProblem.Truncated)]
    [InlineData("ffffffff7f", HpackProblem.IndexUnknown)]
    [InlineData("80", HpackProblem.IndexUnknown)]
    [InlineData("be", HpackProblem.IndexUnknown)]
    [InlineData("7f00", HpackProblem.IndexUnknown)]
    [InlineData("3fe21f", HpackProblem.SizeUpdateTooLarge)]
    [InlineData("202020", HpackProblem.SizeUpdateMisplaced)]
    [InlineData("8220", HpackProblem.SizeUpdateMisplaced)]
    [InlineData("00", HpackProblem.Truncated)]
    [InlineData("000161", HpackProblem.Truncated)]
    [InlineData("007f80808008", HpackProblem.Truncated)]
    [InlineData("00016184ffffffff", HpackProblem.HuffmanEndOfString)]
    [InlineData("00016181ff", HpackProblem.HuffmanPadding)]
    [InlineData("000161821fff", HpackProblem.HuffmanPadding)]
    [InlineData("0001618118", HpackProblem.HuffmanPadding)]
    public void Refuses(string hex, HpackProblem expected) => Assert.Equal(expected, HpackBytes.Decode(HpackBytes.FromHex(hex)).Problem);

    [Theory]
    [InlineData("2020")]
    [InlineData("3fe11f")]
    [InlineData("0001611f")]
    [InlineData("000161811f")]
    [InlineData("000161 80")]
    public void Accepts_their_twins(string hex)
    {
        // The last string is "a" + "…": of 0x1f the first five bits are 'a' (00011), the rest is padding of ones.
        var bytes = HpackBytes.FromHex(hex);
        if (hex == "0001611f")
        {
            bytes = [.. bytes, .. new byte[31]];
        }

        Assert.Equal(HpackProblem.None, HpackBytes.Decode(bytes).Problem);
    }

    [Fact]
    public void A_field_larger_than_the_table_empties_it()
    {
        var decoder = new HpackDecoder(100);
        Assert.Equal(HpackProblem.None, HpackBytes.Decode(decoder, HpackBytes.Literal("a", "b", indexed: true)).Problem);
        Assert.Equal([("a", "b")], HpackBytes.Decode(decoder, [0xbe]).Fields);
        Assert.Equal(HpackProblem.None, HpackBytes.Decode(decoder, HpackBytes.Literal("large", new string('x', 100), indexed: true)).Problem);
        Assert.Equal(HpackProblem.IndexUnknown, HpackBytes.Decode(decoder, [0xbe]).Problem);
    }

    [Fact]
    public void A_smaller_table_forgets_the_oldest()
    {
        var decoder = new HpackDecoder(200);
        HpackBytes.Decode(decoder, [.. HpackBytes.Literal("a", "1", indexed: true), .. HpackBytes.Literal("b", "2", indexed: true), .. HpackBytes.Literal("c", "3", indexed: true)]);
        Assert.Equal([("c", "3"), ("b", "2"), ("a", "1")], HpackBytes.Decode(decoder, [0xbe, 0xbf, 0xc0]).Fields);
        Assert.Equal([("c", "3"), ("b", "2")], HpackBytes.Decode(decoder, [.. HpackBytes.Integer(0x20, 5, 70), 0xbe, 0xbf]).Fields);
        Assert.Equal(HpackProblem.IndexUnknown, HpackBytes.Decode(decoder, [0xc0]).Problem);
    }

    [Fact]
    public void A_section_over_its_limits_is_cut_and_the_tables_stay_in_step()
    {
        var decoder = new HpackDecoder();
        var section = new FieldSection(maxSize: 100, maxFields: 10);
        Assert.Equal(HpackProblem.None, decoder.TryDecode([.. HpackBytes.Literal("a", "1", indexed: true), .. HpackBytes.Literal("b", new string('x', 100), indexed: true)], section));
        Assert.True(section.IsTooLarge);
        Assert.Single(section.Fields);
        Assert.Equal([("b", new string('x', 100)), ("a", "1")], HpackBytes.Decode(decoder, [0xbe, 0xbf]).Fields);

        var many = new FieldSection(maxSize: 10_000, maxFields: 2);
        Assert.Equal(HpackProblem.None, decoder.TryDecode([0x82, 0x82], many));
        Assert.False(many.IsTooLarge);
        Assert.Equal(HpackProblem.None, decoder.TryDecode([0x82], many));
        Assert.True(many.IsTooLarge);
    }

    [Fact]
    public void A_small_block_of_references_to_a_large_field_stays_small()
    {
        var decoder = new HpackDecoder();
        HpackBytes.Decode(decoder, HpackBytes.Literal("bomb", new string('x', 4000), indexed: true));
        var section = new FieldSection(maxSize: 16 * 1024, maxFields: 100);
        Assert.Equal(HpackProblem.None, decoder.TryDecode(Enumerable.Repeat((byte)0xbe, 16 * 1024).ToArray(), section));
        Assert.True(section.IsTooLarge);
        Assert.Equal(4, section.Fields.Count);
    }

    [Theory]
    [InlineData("authorization", 0x1f)]
    [InlineData("cookie", 0x1f)]
    [InlineData("x-forwarded-client-cert", 0x10)]
    [InlineData("user-agent", 0x0f)]
    [InlineData("x-other", 0x00)]
    public void Marks_secrets_never_to_be_indexed(string name, int first) => Assert.Equal(first, HpackBytes.Encode((name, "v"))[1]);

    [Fact]
    public void Says_once_that_it_keeps_no_table()
    {
        var encoder = new HpackEncoder();
        Assert.Equal([0x20, 0x82], HpackBytes.Encode(encoder, (":method", "GET")));
        Assert.Equal([0x82], HpackBytes.Encode(encoder, (":method", "GET")));
    }
}
