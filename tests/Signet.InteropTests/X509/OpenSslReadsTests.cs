using System.Security.Cryptography;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Testing.X509;

namespace Signet.InteropTests.X509;

/// <summary>What Signet writes, openssl reads; what openssl writes, Signet reads.</summary>
public sealed class OpenSslReadsTests : IDisposable
{
    private static readonly DateTimeOffset Now = CertificateForge.Now;
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Orders = SpiffeId.Parse("spiffe://example.org/orders");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signet-openssl-");

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.EcP384)]
    [InlineData(KeyType.Rsa2048)]
    public async Task Openssl_verifies_strictly_what_Signet_issued(KeyType keyType)
    {
        using var rootKey = KeyPair.Generate(keyType);
        using var issuingKey = KeyPair.Generate(keyType);
        using var leafKey = KeyPair.Generate(keyType);
        var root = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(rootKey), Now.AddDays(-1), Now.AddDays(365), "root").SignSelf(rootKey);
        var issuing = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(issuingKey), Now.AddDays(-1), Now.AddDays(30), "issuing", 0).Sign(root, rootKey);
        var leaf = CertificateTemplate.Leaf(Orders, KeyPair.ExportPublicKey(leafKey), Now, Now.AddHours(1), ["orders.example.org"]).Sign(issuing, issuingKey);
        await WriteAsync("root.pem", Pem.Encode(root));
        await WriteAsync("issuing.pem", Pem.Encode(issuing));
        await WriteAsync("leaf.pem", Pem.Encode(leaf));
        await WriteAsync("key.pem", Pem.EncodePrivateKey(leafKey));

        foreach (var purpose in new[] { "sslserver", "sslclient" })
        {
            var (isValid, output) = await OpenSsl.RunAsync(
                "verify", "-x509_strict", "-auth_level", "2", "-purpose", purpose, "-verify_hostname", "orders.example.org", "-attime", $"{Now.ToUnixTimeSeconds()}",
                "-CAfile", At("root.pem"), "-untrusted", At("issuing.pem"), At("leaf.pem"));
            Assert.True(isValid, output);
        }

        var (_, text) = await OpenSsl.RunAsync("x509", "-in", At("leaf.pem"), "-noout", "-text");
        Assert.Contains("URI:spiffe://example.org/orders, DNS:orders.example.org", text);
        Assert.Contains("X509v3 Key Usage: critical", text);
        Assert.Contains("TLS Web Server Authentication, TLS Web Client Authentication", text);
        Assert.Contains("CA:FALSE", text);
        var (_, fromKey) = await OpenSsl.RunAsync("pkey", "-in", At("key.pem"), "-pubout");
        var (_, fromLeaf) = await OpenSsl.RunAsync("x509", "-in", At("leaf.pem"), "-noout", "-pubkey");
        Assert.Equal(fromLeaf, fromKey);
    }

    [Theory]
    [InlineData(KeyType.EcP384, "secp384r1")]
    [InlineData(KeyType.Rsa4096, "(4096 bit)")]
    [InlineData(KeyType.Ed25519, "ED25519")]
    public async Task Openssl_verifies_leaves_of_every_kind_with_the_names_of_their_entry_and_reads_their_keys(KeyType keyType, string shown)
    {
        using var rootKey = KeyPair.Generate(KeyType.EcP256);
        using var leafKey = KeyPair.Generate(keyType);
        var root = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(rootKey), Now.AddDays(-1), Now.AddDays(365), "root").SignSelf(rootKey);
        var entry = new RegistrationEntry
        {
            Id = "e",
            SpiffeId = Orders,
            ParentId = SpiffeId.Parse("spiffe://example.org/spire/agent/a"),
            Selectors = [],
            Template = new SvidTemplate { Subject = "CN={path.last},OU=Zoë\\, Ltd,O=Acme,C=DE", Names = ["dns:{path.last}.example.org", "ip:10.0.0.7", "ip:2001:db8::7", "email:orders@example.org"] },
        };
        Assert.True(entry.Template.TryFill(entry, out var names, out var problem), problem);
        var leaf = (CertificateTemplate.Leaf(Orders, KeyPair.ExportPublicKey(leafKey), Now, Now.AddHours(1), names.DnsNames, names.Subject) with
        {
            IpAddresses = names.IpAddresses,
            EmailAddresses = names.EmailAddresses,
        }).Sign(root, rootKey);
        await WriteAsync("root.pem", Pem.Encode(root));
        await WriteAsync("leaf.pem", Pem.Encode(leaf));
        await WriteAsync("key.pem", Pem.EncodePrivateKey(leafKey));
        foreach (var name in new[] { new[] { "-verify_hostname", "orders.example.org" }, ["-verify_ip", "2001:db8::7"], ["-verify_email", "orders@example.org"] })
        {
            var (isValid, output) = await OpenSsl.RunAsync(
                ["verify", "-x509_strict", "-auth_level", "2", "-purpose", "sslserver", .. name, "-attime", $"{Now.ToUnixTimeSeconds()}", "-CAfile", At("root.pem"), At("leaf.pem")]);
            Assert.True(isValid, output);
        }

        var (isOther, _) = await OpenSsl.RunAsync("verify", "-verify_ip", "10.0.0.8", "-attime", $"{Now.ToUnixTimeSeconds()}", "-CAfile", At("root.pem"), At("leaf.pem"));
        Assert.False(isOther);
        var (_, text) = await OpenSsl.RunAsync("x509", "-in", At("leaf.pem"), "-noout", "-text", "-nameopt", "RFC2253,-esc_msb");
        Assert.Contains(shown, text);
        Assert.Contains("Subject: CN=orders,OU=Zoë\\, Ltd,O=Acme,C=DE", text);
        Assert.Contains("URI:spiffe://example.org/orders, DNS:orders.example.org, IP Address:10.0.0.7, IP Address:2001:DB8:0:0:0:0:0:7, email:orders@example.org", text);
        var (_, fromKey) = await OpenSsl.RunAsync("pkey", "-in", At("key.pem"), "-pubout");
        var (_, fromLeaf) = await OpenSsl.RunAsync("x509", "-in", At("leaf.pem"), "-noout", "-pubkey");
        Assert.Equal(fromLeaf, fromKey);

        // And the other way round: openssl proves its possession to Signet.
        await OpenSsl.RunAsync("req", "-new", "-key", At("key.pem"), "-subj", "/CN=orders", "-outform", "DER", "-out", At("request.der"));
        var der = await File.ReadAllBytesAsync(At("request.der"));
        Assert.True(SigningRequest.TryParse(der, out var request, out problem), problem);
        Assert.Equal(KeyPair.ExportPublicKey(leafKey), request.SubjectPublicKeyInfo.ToArray());
        der[^1] ^= 1;
        Assert.False(SigningRequest.TryParse(der, out _, out _));
        await File.WriteAllBytesAsync(At("ours.der"), SigningRequest.Create(leafKey));
        var (isOurs, said) = await OpenSsl.RunAsync("req", "-in", At("ours.der"), "-inform", "DER", "-verify", "-noout");
        Assert.True(isOurs && said.Contains("OK", StringComparison.Ordinal), said);
    }

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.Rsa2048)]
    public async Task Openssl_heeds_the_revocation_list_that_Signet_signed(KeyType keyType)
    {
        using var rootKey = KeyPair.Generate(keyType);
        var root = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(rootKey), Now.AddDays(-1), Now.AddDays(365), "root").SignSelf(rootKey);
        var (bad, good) = (Below("bad"), Below("good"));
        var list = CertificateRevocationList.Sign(root, rootKey, Now.AddMinutes(-1), Now.AddDays(2), 4711, [bad]);
        await WriteAsync("root.pem", Pem.Encode(root));
        await WriteAsync("list.pem", list.ToPem());
        await WriteAsync("bad.pem", Pem.Encode(bad));
        await WriteAsync("good.pem", Pem.Encode(good));
        string[] verify = ["verify", "-x509_strict", "-crl_check", "-attime", $"{Now.ToUnixTimeSeconds()}", "-CAfile", At("root.pem"), "-CRLfile", At("list.pem")];
        var (isGood, output) = await OpenSsl.RunAsync([.. verify, At("good.pem")]);
        Assert.True(isGood, output);
        var (isBad, refusal) = await OpenSsl.RunAsync([.. verify, At("bad.pem")]);
        Assert.False(isBad);
        Assert.Contains("revoked", refusal, StringComparison.Ordinal);

        Certificate Below(string name)
        {
            using var key = KeyPair.Generate(KeyType.EcP256);
            return CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(key), Now.AddDays(-1), Now.AddDays(30), name, 0).Sign(root, rootKey);
        }
    }

    [Fact]
    public async Task Openssl_verifies_the_request_that_Signet_wrote()
    {
        using var key = KeyPair.Generate(KeyType.EcP256);
        await WriteAsync("request.pem", new string(PemEncoding.Write("CERTIFICATE REQUEST", SigningRequest.Create(key, Orders))));

        var (isValid, output) = await OpenSsl.RunAsync("req", "-in", At("request.pem"), "-verify", "-noout", "-text");

        Assert.True(isValid, output);
        Assert.Contains("URI:spiffe://example.org/orders", output);
        Assert.Contains("verify OK", output);
    }

    [Theory]
    [InlineData("ec", "-pkeyopt", "ec_paramgen_curve:P-256", "EC P-256")]
    [InlineData("rsa", "-pkeyopt", "rsa_keygen_bits:2048", "RSA 2048")]
    public async Task Signet_reads_the_request_and_the_key_that_openssl_wrote(string algorithm, string option, string value, string description)
    {
        await DoneAsync("genpkey", "-algorithm", algorithm, option, value, "-out", At("key.pem"));
        await DoneAsync("req", "-new", "-key", At("key.pem"), "-subj", "/O=Test/CN=orders", "-addext", "subjectAltName=URI:spiffe://example.org/orders,DNS:orders.example.org", "-outform", "DER", "-out", At("request.der"));

        Assert.True(SigningRequest.TryParse(await File.ReadAllBytesAsync(At("request.der")), out var request, out var problem), problem);
        Assert.Equal([Orders.Uri], request.UriNames);
        Assert.Equal(["orders.example.org"], request.DnsNames);
        Assert.Equal(description, request.KeyDescription);
        Assert.True(Pem.TryReadPrivateKey(await File.ReadAllTextAsync(At("key.pem")), out var key, out problem), problem);
        Assert.Equal(request.SubjectPublicKeyInfo.ToArray(), KeyPair.ExportPublicKey(key));
    }

    [Fact]
    public async Task Signet_reads_RSA_PSS_that_openssl_signed()
    {
        await DoneAsync("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", At("key.pem"), "-out", At("root.pem"), "-subj", "/CN=pss", "-days", "3650", "-sha256",
            "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32");

        Assert.True(Pem.TryReadCertificates(await File.ReadAllTextAsync(At("root.pem")), out var certificates, out var problem), problem);
        Assert.Equal("RSA-PSS with SHA-256", certificates[0].SignatureDescription);
        Assert.True(certificates[0].IsSignedBy(certificates[0]));
    }

    [Fact]
    public async Task Signet_reads_the_revocation_list_that_openssl_wrote()
    {
        await WriteAsync("ca.cnf", $"""
            [ca]
            default_ca = test
            [test]
            database = {At("index.txt")}
            crlnumber = {At("number")}
            default_md = sha256
            default_crl_days = 3650
            [extensions]
            authorityKeyIdentifier = keyid
            """);
        await WriteAsync("number", "1000\n");
        await WriteAsync("index.txt", "R\t360101000000Z\t260101000000Z,keyCompromise\t0ABC\tunknown\t/CN=gone\n");
        await DoneAsync("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", At("key.pem"), "-out", At("root.pem"), "-subj", "/CN=crl", "-days", "3650",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign");
        await DoneAsync("ca", "-gencrl", "-config", At("ca.cnf"), "-keyfile", At("key.pem"), "-cert", At("root.pem"), "-crlexts", "extensions", "-out", At("list.pem"));

        Assert.True(CertificateRevocationList.TryReadPem(await File.ReadAllTextAsync(At("list.pem")), out var lists, out var problem), problem);
        Assert.True(lists[0].Contains("0abc", out _));
        Assert.Equal("1000", lists[0].NumberHex);
        Assert.True(Pem.TryReadCertificates(await File.ReadAllTextAsync(At("root.pem")), out var root, out problem), problem);
        Assert.True(lists[0].IsSignedBy(root[0]));
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static async Task DoneAsync(params string[] arguments)
    {
        var (isDone, output) = await OpenSsl.RunAsync(arguments);
        Assert.True(isDone, output);
    }

    private Task WriteAsync(string name, string text) => File.WriteAllTextAsync(At(name), text);

    private string At(string name) => Path.Combine(_folder.FullName, name);
}
