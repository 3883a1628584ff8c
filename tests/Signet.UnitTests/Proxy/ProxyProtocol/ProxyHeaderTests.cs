using System.Net;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.ProxyProtocol;

namespace Signet.UnitTests.Proxy.ProxyProtocol;

public sealed class ProxyHeaderTests
{
    private const string Signature = "0D0A0D0A000D0A515549540A";
    private const string V4 = "C0A80001C0A8000BDC0401BB";

    [Theory]
    [InlineData("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", "192.168.0.11:443")]
    [InlineData("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535")]
    [InlineData("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", "0.0.0.0:0")]
    [InlineData("PROXY TCP6 2001:db8::1 2001:DB8::2 1 2\r\n", "[2001:db8::1]:1", "[2001:db8::2]:2")]
    [InlineData("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")]
    public void Reads_the_lines_of_the_specification(string line, string source, string destination)
    {
        var whole = Whole(Encoding.ASCII.GetBytes(line + "GET / HTTP/1.1\r\n\r\n"));

        Assert.Equal(line.Length, whole.Length);
        Assert.Equal(new ProxyHeader(ProxyVersion.V1, new ProxyAddresses(IPEndPoint.Parse(source), IPEndPoint.Parse(destination))), whole.Header);
    }

    [Theory]
    [InlineData("PROXY UNKNOWN\r\n")]
    [InlineData("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n")]
    [InlineData("PROXY UNKNOWN anything at all\r\n")]
    public void An_unknown_connection_leaves_the_real_ends_in_force(string line) => Assert.Equal(new ProxyHeader(ProxyVersion.V1, null), Whole(Encoding.ASCII.GetBytes(line)).Header);

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("PROXY\r\n")]
    [InlineData("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n")]
    [InlineData("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY TCP4 0x1.2.3.4 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY TCP4 ::1 ::1 1 2\r\n")]
    [InlineData("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY TCP6 fe80::1%1 ::1 1 2\r\n")]
    [InlineData("PROXY TCP6 [::1] ::1 1 2\r\n")]
    [InlineData("PROXY TCP6 ::1::1 ::1 1 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n")]
    [InlineData("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n")]
    [InlineData("PROXY UNKNOWNS\r\n")]
    [InlineData("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n")]
    public void Refuses_lines_that_break_the_rules(string line) => Assert.IsType<ProxyHeaderRead.Malformed>(ProxyHeaderReader.Read(Encoding.ASCII.GetBytes(line)));

    [Fact]
    public void A_line_may_be_107_bytes_long_and_not_one_more()
    {
        var longest = Encoding.ASCII.GetBytes("PROXY UNKNOWN " + new string('x', 91) + "\r\n");
        Assert.Equal(107, Whole(longest).Length);
        Assert.IsType<ProxyHeaderRead.NeedMore>(ProxyHeaderReader.Read(longest.AsSpan(0, 106)));

        Assert.Contains("107", Malformed(Encoding.ASCII.GetBytes("PROXY UNKNOWN " + new string('x', 92) + "\r\n")), StringComparison.Ordinal);
    }

    [Fact]
    public void Reads_version_2_over_IPv4_and_IPv6()
    {
        var v4 = Whole(Hex(Signature + "21" + "11" + "000C" + V4 + "FFFF"));
        Assert.Equal(28, v4.Length);
        Assert.Equal(new ProxyHeader(ProxyVersion.V2, new ProxyAddresses(IPEndPoint.Parse("192.168.0.1:56324"), IPEndPoint.Parse("192.168.0.11:443"))), v4.Header);

        var v6 = Whole(Hex(Signature + "21" + "21" + "0024" + "20010DB8000000000000000000000001" + "20010DB8000000000000000000000002" + "DC0401BB"));
        Assert.Equal(new ProxyAddresses(IPEndPoint.Parse("[2001:db8::1]:56324"), IPEndPoint.Parse("[2001:db8::2]:443")), v6.Header.Addresses);
    }

    [Theory]
    [InlineData("20" + "00" + "0000", "")]
    [InlineData("20" + "11" + "000C", V4)]
    [InlineData("20" + "00" + "0003", "FFFFFF")]
    [InlineData("21" + "00" + "0000", "")]
    [InlineData("21" + "00" + "0004", "01020304")]
    [InlineData("21" + "01" + "0004", "01020304")]
    [InlineData("21" + "10" + "000C", V4)]
    [InlineData("21" + "12" + "000C", V4)]
    public void A_connection_of_the_sender_itself_or_of_another_kind_leaves_the_real_ends_in_force(string start, string body)
    {
        var whole = Whole(Hex(Signature + start + body));

        Assert.Null(whole.Header.Addresses);
        Assert.Equal(16 + (body.Length / 2), whole.Length);
    }

    [Theory]
    [InlineData("31")]
    [InlineData("32")]
    public void A_unix_socket_leaves_the_real_ends_in_force_and_its_fields_are_read(string family)
    {
        var whole = Whole(Hex(Signature + "21" + family + "00DC" + new string('0', 432) + "01000168"));

        Assert.Null(whole.Header.Addresses);
        Assert.Equal("h", whole.Header.Alpn);
        Assert.IsType<ProxyHeaderRead.Malformed>(ProxyHeaderReader.Read(Hex(Signature + "21" + family + "00D7" + new string('0', 430))));
    }

    [Theory]
    [InlineData("11" + "11" + "000C" + V4, "version 1")]
    [InlineData("31" + "11" + "000C" + V4, "version 3")]
    [InlineData("22" + "11" + "000C" + V4, "command 2")]
    [InlineData("21" + "41" + "000C" + V4, "0x41")]
    [InlineData("21" + "13" + "000C" + V4, "0x13")]
    [InlineData("21" + "11" + "000B" + V4, "take 12")]
    [InlineData("21" + "21" + "000C" + V4, "take 36")]
    [InlineData("21" + "11" + "0FF1" + V4, "limit is 4096")]
    [InlineData("21" + "11" + "000D" + V4 + "01", "longer than the header")]
    [InlineData("21" + "11" + "000F" + V4 + "010001", "longer than the header")]
    [InlineData("21" + "11" + "000F" + V4 + "010000", "0x01 is malformed")]
    [InlineData("21" + "11" + "0010" + V4 + "02000100", "0x02 is malformed")]
    [InlineData("21" + "11" + "0014" + V4 + "0200016102000162", "0x02 twice")]
    [InlineData("21" + "11" + "0013" + V4 + "03000400000000", "checksum is wrong")]
    [InlineData("21" + "11" + "0010" + V4 + "03000100", "0x03 is malformed")]
    [InlineData("21" + "11" + "000F" + V4 + "050000", "0x05 is malformed")]
    [InlineData("21" + "11" + "0013" + V4 + "20000401000000", "0x20 is malformed")]
    [InlineData("21" + "11" + "0017" + V4 + "2000080100000000" + "210001", "0x20 is malformed")]
    [InlineData("21" + "11" + "001B" + V4 + "20000C0100000000" + "220001FF" + "210000", "0x20 is malformed")]
    public void Refuses_binary_headers_that_break_the_rules(string rest, string why) => Assert.Contains(why, Malformed(Hex(Signature + rest)), StringComparison.Ordinal);

    [Fact]
    public void Skips_padding_and_fields_that_it_does_not_know()
    {
        var whole = Whole(Hex(Signature + "21" + "11" + "001C" + V4 + "04000100" + "04000100" + "E0000100" + "020001" + "61"));

        Assert.Equal("a", whole.Header.Authority);
    }

    [Fact]
    public void A_checksum_is_checked_over_the_whole_header()
    {
        var header = ProxyHeaderWriter.Write(Rich);
        Assert.Equal(Rich, Whole(header).Header);

        for (var i = 16; i < header.Length; i++)
        {
            var broken = header.ToArray();
            broken[i] ^= 1;
            Assert.IsNotType<ProxyHeaderRead.Whole>(ProxyHeaderReader.Read(broken));
        }
    }

    [Fact]
    public void The_checksum_is_the_one_of_RFC_3720_for_32_zeros() => Assert.Equal(0x8a9136aau, Crc32C.OfHeader(new byte[32], 10));

    [Fact]
    public void Never_accepts_half_a_header()
    {
        foreach (var header in new[] { ProxyHeaderWriter.Write(Rich), ProxyHeaderWriter.Write(Rich with { Version = ProxyVersion.V1 }), ProxyHeaderWriter.Write(new ProxyHeader(ProxyVersion.V2, null)) })
        {
            for (var cut = 0; cut < header.Length; cut++)
            {
                Assert.IsType<ProxyHeaderRead.NeedMore>(ProxyHeaderReader.Read(header.AsSpan(0, cut)));
            }

            Assert.Equal(header.Length, Whole([.. header, .. header]).Length);
        }
    }

    [Fact]
    public void Says_at_the_first_wrong_byte_that_there_is_no_header()
    {
        Assert.IsType<ProxyHeaderRead.Malformed>(ProxyHeaderReader.Read([0x16, 0x03, 0x01]));
        Assert.IsType<ProxyHeaderRead.Malformed>(ProxyHeaderReader.Read("PROXI"u8));
        Assert.IsType<ProxyHeaderRead.Malformed>(ProxyHeaderReader.Read([0x0d, 0x0a, 0x0d, 0x0b]));
    }

    [Fact]
    public void Ends_of_two_families_are_both_written_as_IPv6()
    {
        var mixed = new ProxyAddresses(IPEndPoint.Parse("[::ffff:10.0.0.1]:1"), IPEndPoint.Parse("[2001:db8::2]:2"));
        var line = Encoding.ASCII.GetString(ProxyHeaderWriter.Write(new ProxyHeader(ProxyVersion.V1, mixed)));
        Assert.Equal("PROXY TCP6 ::ffff:10.0.0.1 2001:db8::2 1 2\r\n", line);

        var same = new ProxyAddresses(IPEndPoint.Parse("[::ffff:10.0.0.1]:1"), IPEndPoint.Parse("10.0.0.2:2"));
        Assert.Equal("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", Encoding.ASCII.GetString(ProxyHeaderWriter.Write(new ProxyHeader(ProxyVersion.V1, same))));
    }

    [Fact]
    public void A_name_that_does_not_fit_its_field_is_not_written() =>
        Assert.Throws<ArgumentException>(() => ProxyHeaderWriter.Write(Rich with { Authority = new string('a', 256) }));

    [Fact]
    public void What_is_written_is_read_again() => Prop.ForAll(AnyHeader, header => Whole([.. ProxyHeaderWriter.Write(header), 1, 2, 3]).Header == header).QuickCheckThrowOnFailure();

    [Fact]
    public void No_bytes_make_it_throw_or_ask_for_more_than_the_limit()
    {
        var starts = new[] { "", Signature, Signature + "2111", Signature + "2121", Signature + "2111000C" + V4 }.Select(Hex).Append("PROXY "u8.ToArray()).Append("PROXY TCP4 "u8.ToArray()).ToArray();
        var mutated =
            from start in Gen.Elements(starts)
            from rest in Gen.ArrayOf(Gen.Choose(0, 255).Select(value => (byte)value))
            select start.Concat(rest).ToArray();
        var flipped =
            from header in AnyHeader.Generator.Select(ProxyHeaderWriter.Write)
            from at in Gen.Choose(0, header.Length - 1)
            from value in Gen.Choose(0, 255)
            select header.Select((old, i) => i == at ? (byte)value : old).ToArray();
        Prop.ForAll(Gen.OneOf(mutated, flipped).ToArbitrary(), IsWithinLimits).Check(FsCheck.Config.QuickThrowOnFailure.WithMaxTest(2000));

        static bool IsWithinLimits(byte[] bytes)
        {
            Heap.TakesAtMost(4096 + (64 * bytes.Length), () => ProxyHeaderReader.Read(bytes));
            return ProxyHeaderReader.Read(bytes) switch
            {
                ProxyHeaderRead.NeedMore => bytes.Length < ProxyHeaderReader.MaxHeader,
                ProxyHeaderRead.Whole whole => whole.Length <= Math.Min(bytes.Length, ProxyHeaderReader.MaxHeader),
                ProxyHeaderRead.Malformed malformed => malformed.Problem.Length > 0,
                _ => false,
            };
        }
    }

    private static ProxyHeader Rich => new(ProxyVersion.V2, new ProxyAddresses(IPEndPoint.Parse("10.0.0.7:40000"), IPEndPoint.Parse("10.0.0.9:443")))
    {
        Authority = "payments.example.org",
        Alpn = "istio-http/1.1",
        UniqueId = "00ff10",
        Tls = new ProxyTls { HasCertificate = true, IsVerified = true, Version = "TLSv1.3", Cipher = "TLS_AES_256_GCM_SHA384", CommonName = "Ärzte, Köln", SignatureAlgorithm = "SHA256", KeyAlgorithm = "EC256" },
    };

    private static Arbitrary<ProxyHeader> AnyHeader
    {
        get
        {
            var text = Gen.OneOf(Gen.Constant<string?>(null), Gen.NonEmptyListOf(Gen.Choose(0x21, 0x7e)).Select(codes => (string?)new string([.. codes.Take(255).Select(code => (char)code)])));
            var id = Gen.OneOf(Gen.Constant<string?>(null), Gen.NonEmptyListOf(Gen.Choose(0, 255)).Select(bytes => (string?)Convert.ToHexStringLower([.. bytes.Take(128).Select(value => (byte)value)])));
            var flag = Gen.Elements(false, true);
            var tls =
                from certificate in flag
                from verified in flag
                from version in text
                from cipher in text
                from name in text
                from signature in text
                from key in text
                select (ProxyTls?)new ProxyTls { HasCertificate = certificate, IsVerified = verified, Version = version, Cipher = cipher, CommonName = name, SignatureAlgorithm = signature, KeyAlgorithm = key };
            var addresses =
                from width in Gen.Elements(4, 16)
                from bytes in Gen.ArrayOf(Gen.Choose(1, 255), width * 2)
                from source in Gen.Choose(0, 65535)
                from destination in Gen.Choose(0, 65535)
                select new ProxyAddresses(
                    new IPEndPoint(new IPAddress([.. bytes[..width].Select(value => (byte)value)]), source), new IPEndPoint(new IPAddress([.. bytes[width..].Select(value => (byte)value)]), destination));
            var v2 =
                from ends in addresses
                from authority in text
                from alpn in text
                from unique in id
                from secure in Gen.OneOf(Gen.Constant<ProxyTls?>(null), tls)
                select new ProxyHeader(ProxyVersion.V2, ends) { Authority = authority, Alpn = alpn, UniqueId = unique, Tls = secure };
            return Gen.OneOf(
                v2,
                addresses.Select(ends => new ProxyHeader(ProxyVersion.V1, ends)),
                Gen.Elements(new ProxyHeader(ProxyVersion.V1, null), new ProxyHeader(ProxyVersion.V2, null))).ToArbitrary();
        }
    }

    private static ProxyHeaderRead.Whole Whole(byte[] bytes) => Assert.IsType<ProxyHeaderRead.Whole>(ProxyHeaderReader.Read(bytes));

    private static string Malformed(byte[] bytes) => Assert.IsType<ProxyHeaderRead.Malformed>(ProxyHeaderReader.Read(bytes)).Problem;

    private static byte[] Hex(string text) => Convert.FromHexString(text);
}
