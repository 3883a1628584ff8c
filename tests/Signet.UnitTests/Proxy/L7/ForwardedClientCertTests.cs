using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Proxy.Config;
using Signet.Proxy.L7;
using Signet.Proxy.Tls;
using Signet.UnitTests.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.L7;

public sealed class ForwardedClientCertTests
{
    private const string Came = "By=spiffe://example.org/edge;Hash=00;URI=spiffe://example.org/laptop";
    private static readonly SpiffeId Self = SpiffeId.Parse("spiffe://example.org/ns/default/sa/orders");
    private static readonly ECDsa Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    private static readonly Gen<string> Names =
        from length in Gen.Choose(1, 12)
        from letters in Gen.ArrayOf(Gen.Elements('\\', '"', ';', ',', '=', '+', ' ', '#', 'a', 'U', '\t', '2'), length)
        select new string(letters);

    private static readonly Peer Web = Records.PeerOf("/ns/default/sa/web");
    private static readonly string Own = $"By={Self.Uri};Hash={Web.Leaf.Fingerprint};Subject=\"O=Signet\";URI=spiffe://example.org/ns/default/sa/web";

    [Theory]
    [InlineData(ForwardClientCertMode.Sanitize, null, null)]
    [InlineData(ForwardClientCertMode.ForwardOnly, Came, null)]
    [InlineData(ForwardClientCertMode.AppendForward, Came + ",OWN", null)]
    [InlineData(ForwardClientCertMode.SanitizeSet, "OWN", null)]
    [InlineData(ForwardClientCertMode.AlwaysForwardOnly, Came, Came)]
    public void Does_what_its_mode_says_with_and_without_mutual_TLS(ForwardClientCertMode mode, string? mutual, string? plain)
    {
        var config = new ForwardClientCertConfig { Mode = mode };

        Assert.Equal(mutual?.Replace("OWN", Own, StringComparison.Ordinal), Xfcc(new ForwardedClientCert(config, Self, Web), Came));
        Assert.Equal(plain, Xfcc(new ForwardedClientCert(config, Self, null), Came));
    }

    [Theory]
    [InlineData(ForwardClientCertMode.AppendForward, "OWN")]
    [InlineData(ForwardClientCertMode.ForwardOnly, null)]
    [InlineData(ForwardClientCertMode.AlwaysForwardOnly, null)]
    public void Makes_nothing_of_nothing(ForwardClientCertMode mode, string? expected) =>
        Assert.Equal(expected?.Replace("OWN", Own, StringComparison.Ordinal), Xfcc(new ForwardedClientCert(new() { Mode = mode }, Self, Web)));

    [Fact]
    public void Takes_several_lines_for_one_list() =>
        Assert.Equal("a=1,b=2," + Own, Xfcc(new ForwardedClientCert(new() { Mode = ForwardClientCertMode.AppendForward }, Self, Web), "a=1", "b=2"));

    [Fact]
    public void Writes_every_detail_in_the_order_and_with_the_escapes_of_Envoy()
    {
        var element = ForwardedClientCert.Element(Self, Web, ClientCertDetails.Cert | ClientCertDetails.Chain | ClientCertDetails.Subject | ClientCertDetails.Uri | ClientCertDetails.Dns);
        var parts = element.Split(';');

        Assert.Equal(["By", "Hash", "Cert", "Chain", "Subject", "URI"], parts.Select(part => part[..part.IndexOf('=', StringComparison.Ordinal)]));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Web.Leaf.Der.Span)), parts[1]["Hash=".Length..]);
        var cert = Unquoted(parts[2]["Cert=".Length..]);
        Assert.Matches("^-----BEGIN%20CERTIFICATE-----%0A[A-Za-z0-9%]+%0A-----END%20CERTIFICATE-----%0A$", cert);
        var pem = Uri.UnescapeDataString(cert);
        Assert.Equal(Web.Leaf.Der.ToArray(), Convert.FromBase64String(pem.Split("-----")[2]));
        Assert.Equal(Web.Presented.Count, Uri.UnescapeDataString(Unquoted(parts[3]["Chain=".Length..])).Split("BEGIN").Length - 1);
    }

    [Fact]
    public void Says_nothing_beside_the_hash_when_nothing_else_is_asked_for() =>
        Assert.Equal($"By={Self.Uri};Hash={Web.Leaf.Fingerprint}", ForwardedClientCert.Element(Self, Web, ClientCertDetails.None));

    [Theory]
    [InlineData("a.example.org", "DNS=a.example.org")]
    [InlineData("*.example.org", "DNS=*.example.org")]
    [InlineData("a,URI=spiffe:x", "DNS=\"a,URI=spiffe:x\"")]
    [InlineData("a\";Hash=1", "DNS=\"a\\\";Hash=1\"")]
    [InlineData("a\\", "DNS=\"a\\5C\"")]
    public void Lets_no_name_in_a_certificate_pass_for_another_value(string name, string expected)
    {
        var peer = PeerOf("x", name);

        Assert.Equal($"By={Self.Uri};Hash={peer.Leaf.Fingerprint};{expected}", ForwardedClientCert.Element(Self, peer, ClientCertDetails.Dns));
    }

    [Theory]
    [InlineData("a,b", @"CN=a\,b")]
    [InlineData("a\"b", "CN=a\\\"b")]
    [InlineData("a\\", @"CN=a\5C")]
    [InlineData("a\\\";URI=spiffe://example.org/admin", "CN=a\\5C\\\"\\;URI=spiffe://example.org/admin")]
    [InlineData("\u00fc", @"CN=\c3\bc")]
    public void Writes_a_subject_as_Envoy_does_but_for_backslashes(string common, string expected)
    {
        var peer = PeerOf(common);

        Assert.Equal($"By={Self.Uri};Hash={peer.Leaf.Fingerprint};Subject=\"{expected}\"", ForwardedClientCert.Element(Self, peer, ClientCertDetails.Subject));
    }

    /// <summary>Some readers of the field know <c>\"</c> only, others every backslash: a name is never more than a name to either.</summary>
    [Fact]
    public void Whatever_names_a_certificate_has_every_reader_finds_the_same_keys() => Prop.ForAll(Arb.From(Names), Arb.From(Names), (common, dns) =>
    {
        var element = ForwardedClientCert.Element(Self, PeerOf(common, dns), ClientCertDetails.Subject | ClientCertDetails.Uri | ClientCertDetails.Dns);
        foreach (var knowsAll in new[] { false, true })
        {
            var pairs = Read($"{element},By=spiffe://example.org/next", knowsAll);
            Assert.Equal(["By", "Hash", "Subject", "URI", "DNS", ",", "By"], pairs.Select(pair => pair.Key));
            Assert.Equal("spiffe://example.org/web", pairs[3].Value);
        }

        Assert.DoesNotContain(element, letter => letter is < ' ' or > '~');
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Writes_the_fields_of_RFC_9440()
    {
        var fields = new List<KeyValuePair<string, string>>();
        new ForwardedClientCert(new() { Fields = ClientCertFields.Rfc9440, Details = ClientCertDetails.Chain }, Self, Web).Apply([], fields);

        Assert.Equal(["client-cert", "client-cert-chain"], fields.Select(field => field.Key));
        Assert.Equal($":{Convert.ToBase64String(Web.Leaf.Der.Span)}:", fields[0].Value);
        Assert.Equal(string.Join(", ", Web.Presented.Skip(1).Select(one => $":{Convert.ToBase64String(one.Der.Span)}:")), fields[1].Value);
    }

    [Theory]
    [InlineData(ForwardClientCertMode.Sanitize)]
    [InlineData(ForwardClientCertMode.ForwardOnly)]
    [InlineData(ForwardClientCertMode.AlwaysForwardOnly)]
    public void Writes_no_field_of_RFC_9440_where_it_does_not_speak_itself(ForwardClientCertMode mode)
    {
        var fields = new List<KeyValuePair<string, string>>();
        new ForwardedClientCert(new() { Mode = mode, Fields = ClientCertFields.Rfc9440 }, Self, Web).Apply([new("Client-Cert", ":AAAA:")], fields);
        new ForwardedClientCert(new() { Fields = ClientCertFields.Rfc9440 }, Self, null).Apply([new("Client-Cert", ":AAAA:")], fields);

        Assert.Empty(fields);
    }

    [Fact]
    public void Leaves_out_what_is_longer_than_a_field_should_be()
    {
        var came = new string('a', ForwardedClientCert.MaxValue);

        Assert.Null(Xfcc(new ForwardedClientCert(new() { Mode = ForwardClientCertMode.AppendForward }, Self, Web), came));
        Assert.Equal(came, Xfcc(new ForwardedClientCert(new() { Mode = ForwardClientCertMode.ForwardOnly }, Self, Web), came));
    }

    /// <summary>A workload whose certificate says this of itself.</summary>
    private static Peer PeerOf(string common, string? dns = null)
    {
        var names = new AsnWriter(AsnEncodingRules.DER);
        using (names.PushSequence())
        {
            names.WriteCharacterString(UniversalTagNumber.IA5String, "spiffe://example.org/web", new Asn1Tag(TagClass.ContextSpecific, 6));
            if (dns is not null)
            {
                names.WriteCharacterString(UniversalTagNumber.IA5String, dns, new Asn1Tag(TagClass.ContextSpecific, 2));
            }
        }

        var request = new CertificateRequest(new X500DistinguishedName(DistinguishedName.Of(("CN", common)).Der.Span), Key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new("2.5.29.17", names.Encode(), false));
        using var made = request.CreateSelfSigned(Records.Now, Records.Now.AddDays(1));
        Assert.True(Certificate.TryParse(made.RawData, out var certificate, out var problem), problem);
        return new Peer(SpiffeId.Parse("spiffe://example.org/web"), [certificate], Records.Now);
    }

    /// <summary>Keys and values, and a comma where an element ends.</summary>
    private static List<KeyValuePair<string, string>> Read(string text, bool knowsAllEscapes)
    {
        var pairs = new List<KeyValuePair<string, string>>();
        for (var at = 0; at < text.Length; at++)
        {
            var equals = text.IndexOf('=', at);
            var (key, value, isQuoted) = (text[at..equals], new StringBuilder(), false);
            for (at = equals + 1; at < text.Length && (isQuoted || text[at] is not (';' or ',')); at++)
            {
                if (isQuoted && text[at] == '\\' && at + 1 < text.Length && (knowsAllEscapes || text[at + 1] == '"'))
                {
                    value.Append(text[++at]);
                }
                else if (text[at] == '"')
                {
                    isQuoted = !isQuoted;
                }
                else
                {
                    value.Append(text[at]);
                }
            }

            Assert.False(isQuoted, text);
            pairs.Add(new(key, value.ToString()));
            if (at < text.Length && text[at] == ',')
            {
                pairs.Add(new(",", ""));
            }
        }

        return pairs;
    }

    private static string Unquoted(string value)
    {
        Assert.True(value.StartsWith('"') && value.EndsWith('"'));
        return value[1..^1];
    }

    private static string? Xfcc(ForwardedClientCert forwarded, params string[] incoming)
    {
        var fields = new List<KeyValuePair<string, string>>();
        forwarded.Apply([.. incoming.Select(value => new KeyValuePair<string, string>("X-Forwarded-Client-Cert", value))], fields);
        return fields.Count == 0 ? null : Assert.Single(fields, field => field.Key == "x-forwarded-client-cert").Value;
    }
}
