using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Hosting.Acme;
using Signet.Hosting.Configuration;
using Signet.Identity.X509;

namespace Signet.UnitTests.Hosting.Acme;

public sealed class AcmeTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_request_is_a_flattened_JWS_that_the_accounts_key_verifies()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var account = new AcmeKey(ECDsa.Create(key.ExportParameters(includePrivateParameters: true)));
        var jws = JsonNode.Parse(account.Sign(new JsonObject { ["alg"] = "ES256", ["jwk"] = account.ToJwk() }, new JsonObject { ["a"] = 1 }))!;
        var signed = $"{jws["protected"]}.{jws["payload"]}";
        Assert.True(key.VerifyData(Encoding.ASCII.GetBytes(signed), Base64Url.DecodeFromChars((string)jws["signature"]!), HashAlgorithmName.SHA256));
        Assert.Equal("""{"a":1}""", Encoding.UTF8.GetString(Base64Url.DecodeFromChars((string)jws["payload"]!)));
        Assert.DoesNotContain("\"d\"", Encoding.UTF8.GetString(Base64Url.DecodeFromChars((string)jws["protected"]!)), StringComparison.Ordinal);

        // POST-as-GET signs the empty payload (RFC 8555 §6.3).
        Assert.Equal("", (string)JsonNode.Parse(account.Sign([], null))!["payload"]!);
    }

    [Fact]
    public void A_key_authorization_is_the_token_with_the_thumbprint_of_the_key()
    {
        // RFC 7638 §3: the members of an EC key in lexical order, without white space.
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var account = new AcmeKey(ECDsa.Create(key.ExportParameters(includePrivateParameters: true)));
        var jwk = account.ToJwk();
        Assert.Equal(["crv", "kty", "x", "y"], jwk.Select(member => member.Key));
        Assert.Equal($"token.{Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes(jwk.ToJsonString())))}", account.Authorize("token"));
    }

    [Fact]
    public void A_challenge_shows_a_certificate_for_the_one_name_with_the_digest_and_is_gone_afterwards()
    {
        var challenges = new TlsAlpnChallenges();
        Assert.True(challenges.IsEmpty);
        using (challenges.Open("bundle.example.org", "token.thumbprint"))
        {
            var shown = challenges.Find("BUNDLE.example.org")!.TargetCertificate;
            Assert.Equal(["bundle.example.org"], shown.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().EnumerateDnsNames());
            var proof = Assert.Single(shown.Extensions, extension => extension.Oid!.Value == "1.3.6.1.5.5.7.1.31");
            Assert.True(proof.Critical);
            Assert.Equal([0x04, 0x20, .. SHA256.HashData("token.thumbprint"u8)], proof.RawData);
            Assert.Null(challenges.Find("other.example.org"));
        }

        Assert.True(challenges.IsEmpty);
    }

    [Fact]
    public void A_certificate_is_renewed_at_half_of_its_life_or_thirty_days_ahead_or_when_a_name_is_missing()
    {
        Assert.Equal("there is none yet", Why(null, Now));
        var quarter = Held(TimeSpan.FromDays(90), "a.example", "b.example");
        Assert.Null(Why(quarter, Now.AddDays(59)));
        Assert.Contains("valid until", Why(quarter, Now.AddDays(60.1)), StringComparison.Ordinal);
        var week = Held(TimeSpan.FromDays(6), "a.example", "b.example");
        Assert.Null(Why(week, Now.AddDays(2.9)));
        Assert.NotNull(Why(week, Now.AddDays(3.1)));
        Assert.Contains("b.example is not in", Why(Held(TimeSpan.FromDays(90), "a.example"), Now), StringComparison.Ordinal);

        static string? Why(WebCertificate? held, DateTimeOffset now) => WebCertificate.WhyRenew(held, ["a.example", "b.example"], now);
    }

    [Fact]
    public void A_chain_without_its_key_is_refused()
    {
        var (chain, key) = Make(TimeSpan.FromDays(1), "a.example");
        Assert.True(WebCertificate.TryRead(chain, key, "", out _, out var problem), problem);
        Assert.False(WebCertificate.TryRead(chain, Pem.EncodePrivateKey(KeyPair.Generate(KeyType.EcP256)), "", out _, out problem));
        Assert.Contains("the key is not that of the first certificate", problem, StringComparison.Ordinal);
        Assert.False(WebCertificate.TryRead("nothing", key, "", out _, out _));
    }

    [Fact]
    public void The_configuration_has_names_and_an_https_directory_and_Lets_Encrypt_by_default()
    {
        var config = Read("names: [bundle.example.org]\ntermsAgreed: true\nemail: ops@example.org");
        Assert.Equal((AcmeConfig.DefaultDirectory, "ops@example.org", true), (config.Directory.AbsoluteUri, config.Email, config.TermsAgreed));
        Assert.Null(config.Roots);
    }

    [Theory]
    [InlineData("termsAgreed: true", "names: is missing")]
    [InlineData("names: [\"*.example.org\"]", "stands for many names")]
    [InlineData("names: [Bundle.example.org]", "is not a DNS name in lower case")]
    [InlineData("names: [10.0.0.1]", "is not a DNS name")]
    [InlineData("names: [a.example]\ndirectory: http://acme.example/", "is not an https URL")]
    [InlineData("names: [a.example]\ndirectory: https://user@acme.example/", "is not an https URL")]
    [InlineData("names: [a.example]\ncaFile: /nowhere/ca.pem", "can't be read")]
    public void What_can_not_be_ordered_is_refused(string text, string expected) => Assert.Contains(expected, Assert.Throws<ConfigException>(() => Read(text)).Message, StringComparison.Ordinal);

    private static AcmeConfig Read(string text) => ConfigDocument.Read("server.yaml", text, new Dictionary<string, string>(), AcmeConfig.Read);

    private static WebCertificate Held(TimeSpan lifetime, params string[] names)
    {
        var (chain, key) = Make(lifetime, names);
        return WebCertificate.TryRead(chain, key, "", out var held, out var problem) ? held : throw new InvalidOperationException(problem);
    }

    private static (string Chain, string Key) Make(TimeSpan lifetime, params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test", key, HashAlgorithmName.SHA256);
        var san = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            san.AddDnsName(name);
        }

        request.CertificateExtensions.Add(san.Build());
        using var certificate = request.CreateSelfSigned(Now, Now + lifetime);
        return (certificate.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
    }
}
