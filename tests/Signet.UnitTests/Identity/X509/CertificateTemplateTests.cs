using System.Security.Cryptography;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class CertificateTemplateTests
{
    private static readonly DateTimeOffset Now = TestPki.Now;
    private readonly TestPki _pki = TestPki.Shared;

    [Theory]
    [InlineData(KeyType.EcP256, KeyUsages.DigitalSignature | KeyUsages.KeyAgreement)]
    [InlineData(KeyType.EcP384, KeyUsages.DigitalSignature | KeyUsages.KeyAgreement)]
    [InlineData(KeyType.Rsa2048, KeyUsages.DigitalSignature | KeyUsages.KeyEncipherment)]
    [InlineData(KeyType.Ed25519, KeyUsages.DigitalSignature)]
    public void Makes_a_leaf_that_keeps_the_profile(KeyType keyType, KeyUsages usage)
    {
        using var key = KeyPair.Generate(keyType);
        var leaf = CertificateTemplate.Leaf(TestPki.Orders, KeyPair.ExportPublicKey(key), Now, Now.AddHours(1), ["orders.example.org"]).Sign(_pki.Issuing, _pki.IssuingKey);

        Assert.True(X509SvidProfile.TryCheckLeaf(leaf, out var id, out var problem), problem);
        Assert.Equal(TestPki.Orders, id);
        Assert.Equal(usage, leaf.KeyUsage);
        Assert.True(leaf.IsKeyUsageCritical);
        Assert.Equal("O=Signet", leaf.Subject);
        Assert.Equal(["orders.example.org"], leaf.DnsNames);
        Assert.False(leaf.AreAlternativeNamesCritical);
        Assert.Equal(_pki.Issuing.SubjectKeyIdentifier.ToArray(), leaf.AuthorityKeyId.ToArray());
        Assert.Equal(20, leaf.SubjectKeyIdentifier.Length);
        Assert.True(leaf.IsSignedBy(_pki.Issuing));
        Assert.False(leaf.IsSignedBy(_pki.Root));
    }

    [Theory]
    [InlineData(KeyType.EcP256, "ECDSA with SHA-256")]
    [InlineData(KeyType.EcP384, "ECDSA with SHA-384")]
    [InlineData(KeyType.Rsa2048, "RSA with SHA-256")]
    public void Makes_an_authority_that_keeps_the_profile_and_signs_as_strongly_as_its_key(KeyType keyType, string signature)
    {
        using var key = KeyPair.Generate(keyType);
        var root = CertificateTemplate.Authority(TestPki.Domain, KeyPair.ExportPublicKey(key), Now, Now.AddDays(1), "ca", 1).SignSelf(key);
        var leaf = _pki.LeafTemplate().Sign(root, key);

        Assert.True(X509SvidProfile.TryCheckAuthority(root, TestPki.Domain, out var problem), problem);
        Assert.Equal(new BasicConstraints(true, 1, true), root.BasicConstraints);
        Assert.Equal("CN=ca,O=Signet", root.Subject);
        Assert.Equal(["spiffe://example.org"], root.UriNames);
        Assert.Equal(signature, root.SignatureDescription);
        Assert.Equal(signature, leaf.SignatureDescription);
        Assert.True(PathValidator.Validate(new PathRequest { Leaf = leaf, Roots = [root], At = Now }).IsValid);
    }

    [Fact]
    public void Makes_certificates_that_keep_the_rules_of_the_web_too()
    {
        var leaf = (_pki.LeafTemplate() with { DnsNames = ["orders.example.org"] }).Sign(_pki.Issuing, _pki.IssuingKey);

        var verdict = PathValidator.Validate(new PathRequest { Leaf = leaf, Intermediates = [_pki.Issuing], Roots = [_pki.Root], At = Now, Profile = PathProfile.WebPki, DnsName = "orders.example.org" });

        Assert.True(verdict.IsValid, verdict.Reason);
    }

    [Fact]
    public void Makes_the_names_critical_when_the_subject_is_empty()
    {
        var leaf = (_pki.LeafTemplate() with { Subject = DistinguishedName.Empty }).Sign(_pki.Issuing, _pki.IssuingKey);

        Assert.True(leaf.AreAlternativeNamesCritical);
        Assert.True(X509SvidProfile.TryCheckLeaf(leaf, out _, out var problem), problem);
    }

    [Fact]
    public void Gives_every_certificate_a_positive_serial_number_of_16_random_bytes()
    {
        var serials = Enumerable.Range(0, 200).Select(_ => _pki.LeafTemplate().Serial.ToArray()).ToArray();

        Assert.All(serials, s => Assert.Equal(16, s.Length));
        Assert.All(serials, s => Assert.InRange(s[0], 0x40, 0x7f));
        Assert.Equal(200, serials.Select(Convert.ToHexString).Distinct().Count());
        Assert.Equal(32, _pki.LeafTemplate().Sign(_pki.Issuing, _pki.IssuingKey).SerialHex.Length);
    }

    [Fact]
    public void Writes_dates_beyond_2049()
    {
        var end = new DateTimeOffset(2051, 5, 6, 7, 8, 9, TimeSpan.Zero);

        Assert.Equal(end, (_pki.LeafTemplate() with { NotAfter = end.AddMilliseconds(400) }).Sign(_pki.Issuing, _pki.IssuingKey).NotAfter);
    }

    [Fact]
    public void Refuses_a_leaf_without_a_path_and_a_life_that_ends_before_it_begins()
    {
        var key = KeyPair.ExportPublicKey(_pki.LeafKey);

        Assert.Throws<ArgumentException>(() => CertificateTemplate.Leaf(SpiffeId.Of(TestPki.Domain), key, Now, Now.AddHours(1)));
        Assert.Throws<ArgumentException>(() => CertificateTemplate.Leaf(TestPki.Orders, key, Now, Now));
        Assert.Throws<ArgumentException>(() => CertificateTemplate.Authority(TestPki.Domain, key, Now, Now.AddHours(-1), "ca"));
    }

    [Fact]
    public void Refuses_a_key_of_another_kind_than_the_issuer()
    {
        using var rsa = KeyPair.Generate(KeyType.Rsa2048);

        Assert.Throws<CryptographicException>(() => _pki.LeafTemplate().Sign(_pki.Issuing, rsa));
    }

    [Fact]
    public void Signs_with_a_key_that_can_do_nothing_but_sign()
    {
        using var remote = new RemoteKey((ECDsa)_pki.IssuingKey);

        Assert.True(_pki.LeafTemplate().Sign(_pki.Issuing, remote).IsSignedBy(_pki.Issuing));
    }

    /// <summary>A key in hardware: one virtual method, nothing to export.</summary>
    private sealed class RemoteKey(ECDsa inner) : ECDsa
    {
        public override byte[] SignHash(byte[] hash) => inner.SignHash(hash);

        public override bool VerifyHash(byte[] hash, byte[] signature) => throw new NotSupportedException();
    }
}
