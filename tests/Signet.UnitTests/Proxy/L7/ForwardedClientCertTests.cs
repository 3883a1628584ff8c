using System.Security.Cryptography;
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
    public void Lets_no_name_in_a_certificate_pass_for_another_value(string name, string expected)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=x", key, HashAlgorithmName.SHA256);
        var names = new System.Security.Cryptography.X509Certificates.SubjectAlternativeNameBuilder();
        names.AddUri(new Uri("spiffe://example.org/web"));
        names.AddDnsName("placeholder");
        var extension = names.Build();
        request.CertificateExtensions.Add(new(extension.Oid!, Replaced(extension.RawData, "placeholder", name), false));
        using var made = request.CreateSelfSigned(Records.Now, Records.Now.AddDays(1));
        if (!Certificate.TryParse(made.RawData, out var certificate, out _))
        {
            return;
        }

        var element = ForwardedClientCert.Element(Self, new Peer(SpiffeId.Parse("spiffe://example.org/web"), [certificate], Records.Now), ClientCertDetails.Dns);
        Assert.Equal($"By={Self.Uri};Hash={certificate.Fingerprint};{expected}", element);
    }

    [Fact]
    public void Writes_the_fields_of_RFC_9440()
    {
        var fields = new List<KeyValuePair<string, string>>();
        new ForwardedClientCert(new() { Fields = ClientCertFields.Rfc9440, Details = ClientCertDetails.Chain }, Self, Web).Apply([], fields);

        Assert.Equal(Web.Presented.Count > 1 ? ["client-cert", "client-cert-chain"] : ["client-cert"], fields.Select(field => field.Key));
        Assert.Equal($":{Convert.ToBase64String(Web.Leaf.Der.Span)}:", fields[0].Value);
        Assert.All(fields.Skip(1), field => Assert.Equal(string.Join(", ", Web.Presented.Skip(1).Select(one => $":{Convert.ToBase64String(one.Der.Span)}:")), field.Value));
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

    private static byte[] Replaced(byte[] der, string from, string to)
    {
        // Lengths of short forms only: the whole, then the one name.
        var at = der.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(from));
        var text = System.Text.Encoding.ASCII.GetBytes(to);
        byte[] made = [.. der[..at], .. text, .. der[(at + from.Length)..]];
        made[1] += (byte)(text.Length - from.Length);
        made[at - 1] = (byte)text.Length;
        return made;
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
