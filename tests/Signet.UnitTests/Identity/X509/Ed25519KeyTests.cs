using System.Formats.Asn1;
using System.Security.Cryptography;
using Signet.Identity.Jose;
using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.X509;

/// <summary>RFC 8032 and RFC 8410, over the system's libcrypto.</summary>
public sealed class Ed25519KeyTests
{
    // The private key of RFC 8410 §10.3, and the same with attributes and its public key beside it.
    private const string Bare = "302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
    private const string Seed = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
    private const string Public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
    private const string WithPublic = "3051020101300506032b657004220420" + Seed + "8121" + "00" + Public;

    [Theory]
    [InlineData("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "", "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")]
    [InlineData("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")]
    [InlineData("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82", "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")]
    public void Signs_and_verifies_what_the_standard_lists(string seed, string publicKey, string data, string signature)
    {
        using var key = Ed25519Key.OfSeed(Convert.FromHexString(seed));
        Assert.True(Ed25519Key.TryOfPublic(Convert.FromHexString(publicKey), out var other, out var problem), problem);
        using var verifier = other;

        Assert.Equal(publicKey, Convert.ToHexStringLower(key.PublicBytes.Span));
        Assert.Equal(signature, Convert.ToHexStringLower(key.Sign(Convert.FromHexString(data))));
        Assert.True(verifier.Verify(Convert.FromHexString(data), Convert.FromHexString(signature)));
        Assert.True(key.Verify(Convert.FromHexString(data), Convert.FromHexString(signature)));
    }

    [Fact]
    public void Refuses_every_signature_that_differs_in_a_bit_in_its_data_or_in_its_length()
    {
        using var key = Ed25519Key.Generate();
        using var stranger = Ed25519Key.Generate();
        var signature = key.Sign("data"u8);

        Assert.True(key.Verify("data"u8, signature));
        Assert.False(stranger.Verify("data"u8, signature));
        Assert.False(key.Verify("date"u8, signature));
        Assert.False(key.Verify([], signature));
        Assert.False(key.Verify("data"u8, []));
        Assert.False(key.Verify("data"u8, signature.AsSpan(0, 63)));
        Assert.False(key.Verify("data"u8, [.. signature, 0]));
        for (var bit = 0; bit < signature.Length * 8; bit += 7)
        {
            var tampered = signature.ToArray();
            tampered[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(key.Verify("data"u8, tampered));
        }
    }

    [Fact]
    public void Refuses_the_second_form_of_a_signature()
    {
        // S + L is the same number to careless arithmetic (RFC 8032 §5.1.7 asks for S < L).
        using var key = Ed25519Key.Generate();
        var signature = key.Sign("data"u8);
        var order = System.Numerics.BigInteger.Pow(2, 252) + System.Numerics.BigInteger.Parse("27742317777372353535851937790883648493", System.Globalization.CultureInfo.InvariantCulture);
        var second = new System.Numerics.BigInteger(signature.AsSpan(32), isUnsigned: true) + order;
        byte[] malleated = [.. signature[..32], .. second.ToByteArray(isUnsigned: true)];

        Assert.Equal(64, malleated.Length);
        Assert.False(key.Verify("data"u8, malleated));
    }

    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", "small order")]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000080", "small order")]
    [InlineData("0100000000000000000000000000000000000000000000000000000000000000", "small order")]
    [InlineData("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "small order")]
    [InlineData("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "small order")]
    [InlineData("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", "small order")]
    [InlineData("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "small order")]
    [InlineData("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "small order")]
    [InlineData("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "canonical")]
    [InlineData("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "canonical")]
    [InlineData("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "canonical")]
    [InlineData("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f70751", "31")]
    [InlineData("", "0")]
    public void Refuses_a_public_key_that_no_honest_key_pair_has(string hex, string reason)
    {
        Assert.False(Ed25519Key.TryOfPublic(Convert.FromHexString(hex), out var key, out var problem));
        Assert.Null(key);
        Assert.Contains(reason, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Reads_and_writes_private_keys_as_the_standard_has_them()
    {
        Assert.True(Ed25519Key.TryReadPkcs8(Convert.FromHexString(Bare), out var key, out var problem), problem);
        using var held = key;

        Assert.Equal(Public, Convert.ToHexStringLower(key.PublicBytes.Span));
        Assert.Equal(Bare, Convert.ToHexStringLower(key.ExportPkcs8PrivateKey()));
        Assert.Equal("302a300506032b6570032100" + Public, Convert.ToHexStringLower(key.ExportSubjectPublicKeyInfo()));
        Assert.Equal(256, key.KeySize);
    }

    [Theory]
    [InlineData(WithPublic)]
    [InlineData("3072020101300506032b657004220420" + Seed + "a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273" + "8121" + "00" + Public)]
    public void Reads_private_keys_with_attributes_and_their_public_key(string pkcs8)
    {
        Assert.True(Ed25519Key.TryReadPkcs8(Convert.FromHexString(pkcs8), out var key, out var problem), problem);
        using var held = key;

        Assert.Equal(Public, Convert.ToHexStringLower(key.PublicBytes.Span));
    }

    [Theory]
    [InlineData("3051020101300506032b657004220420" + Seed + "812100" + "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "not its own")]
    [InlineData("3051020101300506032b657004220420" + Seed + "812101" + Public, "not an Ed25519 key")]
    [InlineData("302e020102300506032b657004220420" + Seed, "not an Ed25519 key")]
    [InlineData("302e020100300506032b656e04220420" + Seed, "not an Ed25519 key")]
    [InlineData("3030020100300706032b6570050004220420" + Seed, "not an Ed25519 key")]
    [InlineData("302d020100300506032b65700421041f" + "ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842", "not an Ed25519 key")]
    [InlineData(Bare + "00", "not an Ed25519 key")]
    [InlineData("302e020100300506032b657004220420", "not an Ed25519 key")]
    [InlineData("", "not an Ed25519 key")]
    public void Refuses_a_private_key_that_is_not_whole(string pkcs8, string reason)
    {
        Assert.False(Ed25519Key.TryReadPkcs8(Convert.FromHexString(pkcs8), out _, out var problem));
        Assert.Contains(reason, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Survives_any_bytes()
    {
        var random = new Random(7);
        for (var round = 0; round < 2000; round++)
        {
            var bytes = Convert.FromHexString(WithPublic);
            for (var changes = random.Next(1, 5); changes > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            if (KeyPair.TryImportPkcs8(bytes.AsMemory(0, random.Next(bytes.Length + 1)), out var key, out var problem))
            {
                key.Dispose();
            }
            else
            {
                Assert.NotEmpty(problem);
            }
        }
    }

    [Fact]
    public void A_public_key_neither_signs_nor_has_a_private_half()
    {
        Assert.True(Ed25519Key.TryOfPublic(Convert.FromHexString(Public), out var key, out _));
        using var held = key;

        Assert.False(key.HasPrivateKey);
        Assert.Throws<CryptographicException>(() => key.Sign("x"u8));
        Assert.Throws<CryptographicException>(key.ExportPkcs8PrivateKey);
    }

    [Fact]
    public void Nothing_works_after_it_was_disposed()
    {
        var key = Ed25519Key.Generate();
        key.Dispose();

        Assert.Throws<ObjectDisposedException>(() => key.Sign("x"u8));
        Assert.Throws<ObjectDisposedException>(key.ExportPkcs8PrivateKey);
    }

    [Fact]
    public async Task Serves_many_threads()
    {
        using var key = Ed25519Key.Generate();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            for (var i = 0; i < 200; i++)
            {
                byte[] data = [(byte)thread, (byte)i];
                Assert.True(key.Verify(data, key.Sign(data)));
            }
        })));
    }

    [Fact]
    public void Does_not_show_its_private_half() => Assert.DoesNotContain(Seed, Ed25519Key.OfSeed(Convert.FromHexString(Seed)).ToString(), StringComparison.OrdinalIgnoreCase);

    [Fact]
    public void Travels_as_PEM_like_any_key()
    {
        using var key = KeyPair.Generate(KeyType.Ed25519);

        Assert.True(Pem.TryReadPrivateKey(Pem.EncodePrivateKey(key), out var read, out var problem), problem);
        Assert.Equal(KeyPair.ExportPublicKey(key), KeyPair.ExportPublicKey(read));
    }

    [Fact]
    public void A_leaf_with_such_a_key_is_an_SVID_that_peers_trust()
    {
        var pki = TestPki.Shared;
        using var key = KeyPair.Generate(KeyType.Ed25519);
        var leaf = CertificateTemplate.Leaf(TestPki.Orders, KeyPair.ExportPublicKey(key), TestPki.Now, TestPki.Now.AddHours(1)).Sign(pki.Issuing, pki.IssuingKey);

        Assert.Equal("Ed25519", leaf.KeyDescription);
        Assert.True(X509Svid.TryCreate([leaf, pki.Issuing], key, hint: null, out _, out var problem), problem);
        Assert.Equal(TestPki.Orders, SvidVerifier.Verify([leaf, pki.Issuing], TrustBundles.Of(pki.Bundle), CertificateUsage.Any, TestPki.Now).Id);
        var web = PathValidator.Validate(new PathRequest { Leaf = leaf, Intermediates = [pki.Issuing], Roots = [pki.Root], At = TestPki.Now, Profile = PathProfile.WebPki });
        Assert.False(web.IsValid);
    }

    [Fact]
    public void A_chain_of_others_with_such_an_authority_is_believed_and_a_forged_one_is_not()
    {
        using var key = KeyPair.Generate(KeyType.Ed25519);
        using var forger = KeyPair.Generate(KeyType.Ed25519);
        var root = CertificateTemplate.Authority(TestPki.Domain, KeyPair.ExportPublicKey(key), TestPki.Now.AddDays(-1), TestPki.Now.AddDays(1), "root").SignSelf(key);
        var forged = CertificateTemplate.Authority(TestPki.Domain, KeyPair.ExportPublicKey(forger), TestPki.Now.AddDays(-1), TestPki.Now.AddDays(1), "root").SignSelf(forger);
        var bundles = TrustBundles.Of(X509Bundle.Create(TestPki.Domain, [root]));

        Assert.Equal("Ed25519", root.SignatureDescription);
        Assert.True(SvidVerifier.Verify([TestPki.Shared.LeafTemplate().Sign(root, key)], bundles, CertificateUsage.Any, TestPki.Now).IsTrusted);
        Assert.False(SvidVerifier.Verify([TestPki.Shared.LeafTemplate().Sign(forged, forger)], bundles, CertificateUsage.Any, TestPki.Now).IsTrusted);
    }

    [Fact]
    public void A_bundle_carries_such_an_authority_as_RFC_8037_writes_it()
    {
        using var key = KeyPair.Generate(KeyType.Ed25519);
        var root = CertificateTemplate.Authority(TestPki.Domain, KeyPair.ExportPublicKey(key), TestPki.Now.AddDays(-1), TestPki.Now.AddDays(1), "root").SignSelf(key);
        using var buffer = new MemoryStream();
        using (var writer = new System.Text.Json.Utf8JsonWriter(buffer))
        {
            JsonWebKey.WriteX509(writer, root);
        }

        using var written = System.Text.Json.JsonDocument.Parse(buffer.ToArray());
        Assert.Equal("OKP", written.RootElement.GetProperty("kty").GetString());
        Assert.Equal("Ed25519", written.RootElement.GetProperty("crv").GetString());
        Assert.True(JsonWebKey.TryReadX509(written.RootElement, out var read, out var problem), problem);
        Assert.Equal(root, read);
    }

    [Fact]
    public void Tokens_are_not_verified_with_such_a_key()
    {
        using var key = KeyPair.Generate(KeyType.Ed25519);

        Assert.False(JwsKey.TryCreate(KeyPair.ExportPublicKey(key), "k", null, out _, out var problem));
        Assert.Contains("EC or RSA", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_with_a_key_of_small_order_is_refused_although_its_signature_holds()
    {
        // R = A = the neutral point and S = 0 satisfy [S]B = R + [k]A for every message.
        const string Neutral = "0100000000000000000000000000000000000000000000000000000000000000";
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            {
                writer.WriteInteger(0);
                writer.WriteEncodedValue(DistinguishedName.Empty.Der.Span);
                writer.WriteEncodedValue(Convert.FromHexString("302a300506032b6570032100" + Neutral));
                writer.WriteEncodedValue([0xa0, 0x00]);
            }

            writer.WriteEncodedValue([0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70]);
            writer.WriteBitString(Convert.FromHexString(Neutral + new string('0', 64)));
        }

        Assert.False(SigningRequest.TryParse(writer.Encode(), out _, out var problem));
        Assert.Contains("small order", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Parameters_beside_the_algorithm_are_an_error()
    {
        var info = Convert.FromHexString("302c300706032b65700500032100" + Public);

        Assert.Throws<AsnContentException>(() => PublicKey.Read(info));
        Assert.Throws<AsnContentException>(() => SignatureAlgorithm.Read(Convert.FromHexString("300706032b65700500")));
    }

    [Theory]
    [InlineData("ec-p256", true)]
    [InlineData("rsa-4096", true)]
    [InlineData("ed25519", false)]
    [InlineData("dsa-1024", false)]
    public void An_authority_has_an_EC_or_RSA_key(string name, bool isTaken) => Assert.Equal(isTaken, KeyTypes.TryParseAuthority(name, out _, out _));

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.EcP384)]
    [InlineData(KeyType.Rsa2048)]
    [InlineData(KeyType.Ed25519)]
    public void A_key_says_its_type(KeyType type)
    {
        using var key = KeyPair.Generate(type);

        Assert.Equal(type, KeyTypes.Of(KeyPair.ExportPublicKey(key)));
        Assert.True(KeyTypes.TryParse(type.Name(), out var parsed, out _));
        Assert.Equal(type, parsed);
    }
}
