using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class PemTests
{
    private readonly TestPki _pki = TestPki.Shared;

    [Fact]
    public void Reads_the_certificates_it_wrote_in_order_and_passes_over_the_rest()
    {
        var text = "some prose\n" + Pem.EncodePrivateKey(_pki.LeafKey) + Pem.Encode(_pki.Leaf) + "# more\r\n" + Pem.Encode(_pki.Issuing, _pki.Root).Replace("\n", "\r\n");

        Assert.True(Pem.TryReadCertificates(text, out var certificates, out var problem), problem);
        Assert.Equal([_pki.Leaf, _pki.Issuing, _pki.Root], certificates);
    }

    [Fact]
    public void Refuses_text_without_a_certificate()
    {
        Refuses("", "no PEM block");
        Refuses("hello", "no PEM block");
        Refuses(Pem.EncodePrivateKey(_pki.LeafKey), "no PEM block");
    }

    [Fact]
    public void Refuses_a_damaged_block_and_says_which()
    {
        var good = Pem.Encode(_pki.Leaf);

        Refuses(good + good.Replace("-----END", "-----ENT"), "damaged after block 1");
        Refuses(good.Replace("MII", "!!!") + good, "damaged after block 0");
        Refuses(good + good[..^40], "damaged after block 1");
        Refuses("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM certificate 1: certificate is malformed");
    }

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.EcP384)]
    [InlineData(KeyType.Rsa2048)]
    public void Reads_the_private_keys_it_wrote(KeyType keyType)
    {
        using var key = KeyPair.Generate(keyType);

        Assert.True(Pem.TryReadPrivateKey(Pem.EncodePrivateKey(key), out var read, out var problem), problem);
        Assert.Equal(KeyPair.ExportPublicKey(key), KeyPair.ExportPublicKey(read));
        Assert.True(KeyPair.TryImportPkcs8(KeyPair.ExportPkcs8(key), out read, out problem), problem);
        Assert.Equal(KeyPair.ExportPublicKey(key), KeyPair.ExportPublicKey(read));
        read.Dispose();
    }

    [Fact]
    public void Reads_private_keys_in_the_older_formats()
    {
        using var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var rsa = RSA.Create(2048);

        Assert.True(Pem.TryReadPrivateKey(ec.ExportECPrivateKeyPem(), out var read, out var problem), problem);
        Assert.Equal(ec.ExportSubjectPublicKeyInfo(), KeyPair.ExportPublicKey(read));
        Assert.True(Pem.TryReadPrivateKey(rsa.ExportRSAPrivateKeyPem(), out read, out problem), problem);
        Assert.Equal(rsa.ExportSubjectPublicKeyInfo(), KeyPair.ExportPublicKey(read));
    }

    [Fact]
    public void Refuses_keys_that_are_encrypted_weak_several_or_missing()
    {
        using var weak = RSA.Create(1024);
        using var odd = ECDsa.Create(ECCurve.NamedCurves.brainpoolP256r1);
        var encrypted = weak.ExportEncryptedPkcs8PrivateKeyPem("secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 10));

        RefusesKey(encrypted, "is encrypted");
        RefusesKey(weak.ExportPkcs8PrivateKeyPem(), "the least is 2048");
        RefusesKey(odd.ExportECPrivateKeyPem(), "is not one of");
        RefusesKey(Pem.EncodePrivateKey(_pki.LeafKey) + Pem.EncodePrivateKey(_pki.RootKey), "has 2 private keys");
        RefusesKey(Pem.Encode(_pki.Leaf), "no PEM block");
        RefusesKey("-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----", "unknown PEM label");
        Assert.False(KeyPair.TryImportPkcs8((byte[])[.. KeyPair.ExportPkcs8(_pki.LeafKey), 0], out _, out _));
        Assert.False(KeyPair.TryImportPkcs8(new byte[KeyPair.MaxLength + 1], out _, out _));
    }

    [Fact]
    public void Says_nothing_of_a_key_that_it_refuses()
    {
        var der = KeyPair.ExportPkcs8(_pki.LeafKey);
        der[^5] ^= 1;

        Assert.False(KeyPair.TryImportPkcs8(der, out _, out var problem));
        Assert.DoesNotContain(Convert.ToHexString(der)[20..40], problem, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void Reads_lists_of_DER_as_the_Workload_API_sends_them()
    {
        var list = CertificateList.Encode(_pki.Leaf, _pki.Issuing);

        Assert.True(CertificateList.TryParse(list, out var certificates, out var problem), problem);
        Assert.Equal([_pki.Leaf, _pki.Issuing], certificates);
        Assert.True(CertificateList.TryParse(default, out certificates, out _));
        Assert.Empty(certificates);
        Assert.False(CertificateList.TryParse(list.AsMemory(0, list.Length - 1), out _, out problem));
        Assert.Contains("certificate 2 of the list", problem);
        Assert.False(CertificateList.TryParse((byte[])[.. list, 7], out _, out problem));
        Assert.Contains("certificate 3 of the list", problem);
    }

    [Theory]
    [InlineData("ec-p256", KeyType.EcP256)]
    [InlineData("ec-p384", KeyType.EcP384)]
    [InlineData("rsa-2048", KeyType.Rsa2048)]
    [InlineData("rsa-4096", KeyType.Rsa4096)]
    public void Names_key_types(string name, KeyType keyType)
    {
        Assert.True(KeyTypes.TryParse(name, out var read, out var problem), problem);
        Assert.Equal(keyType, read);
        Assert.Equal(name, keyType.Name());
    }

    [Fact]
    public void Refuses_unknown_key_types_and_names_the_known()
    {
        Assert.False(KeyTypes.TryParse("rsa-1024", out _, out var problem));
        Assert.Contains("ec-p256, ec-p384, rsa-2048, rsa-4096", problem);
        Assert.False(KeyTypes.TryParse(null, out _, out _));
    }

    [Fact]
    public void Never_throws_on_text() => Prop.ForAll(
        ArbMap.Default.ArbFor<string>(),
        text =>
        {
            var armoured = $"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----";
            Assert.False(Pem.TryReadCertificates(text ?? "", out _, out _));
            Assert.False(Pem.TryReadCertificates(armoured, out _, out _));
            Assert.False(Pem.TryReadPrivateKey(armoured.Replace("CERTIFICATE", "PRIVATE KEY"), out _, out _));
        }).QuickCheckThrowOnFailure();

    private static void Refuses(string text, string why)
    {
        Assert.False(Pem.TryReadCertificates(text, out var certificates, out var problem));
        Assert.Empty(certificates);
        Assert.Contains(why, problem);
    }

    private static void RefusesKey(string text, string why)
    {
        Assert.False(Pem.TryReadPrivateKey(text, out var key, out var problem));
        Assert.Null(key);
        Assert.Contains(why, problem);
    }

    [Fact]
    public void Of_a_machines_authorities_those_that_cannot_be_read_are_passed_over_and_one_must_be_left()
    {
        var good = _pki.Root;
        var text = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n" + Pem.Encode(good);
        Assert.True(Pem.TryReadAuthorities(text, out var certificates, out _));
        Assert.Equal([good], certificates);
        Assert.False(Pem.TryReadCertificates(text, out _, out _));
        Assert.False(Pem.TryReadAuthorities("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n", out _, out var problem));
        Assert.Contains("that can be read", problem, StringComparison.Ordinal);
    }
}
