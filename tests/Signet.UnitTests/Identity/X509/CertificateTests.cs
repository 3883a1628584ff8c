using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class CertificateTests
{
    private static readonly Certificate Rich = (CertificateForge.Authority("O=Test,CN=rich") with
    {
        Names = ["uri:spiffe://example.org", "dns:ca.example.org", "ip:10.0.0.1", "email:ca@example.org", "dir:O=Test"],
        PathLength = 2,
        Permitted = ["dns:example.org", "ip:10.0.0.0/8", "uri:example.org"],
        Excluded = ["dns:secret.example.org"],
        Purposes = [CertificateForge.ServerAuth, CertificateForge.ClientAuth],
        Extra = [new("2.5.29.31", CrlPoint("http://crl.example.org/ca.crl"), false)],
    }).SignSelf().Certificate;

    [Fact]
    public void Reads_what_the_base_class_library_wrote()
    {
        using var theirs = X509CertificateLoader.LoadCertificate(Rich.Der.Span);

        Assert.Equal(3, Rich.Version);
        Assert.Equal(theirs.SerialNumber.ToLowerInvariant(), Rich.SerialHex);
        Assert.Equal(theirs.NotBefore.ToUniversalTime(), Rich.NotBefore.UtcDateTime);
        Assert.Equal(theirs.NotAfter.ToUniversalTime(), Rich.NotAfter.UtcDateTime);
        Assert.Equal(theirs.GetCertHashString(HashAlgorithmName.SHA256).ToLowerInvariant(), Rich.Fingerprint);
        Assert.Equal(theirs.SubjectName.RawData, Rich.SubjectDer.ToArray());
        Assert.Equal(theirs.PublicKey.ExportSubjectPublicKeyInfo(), Rich.SubjectPublicKeyInfo.ToArray());
        Assert.Equal("CN=rich,O=Test", Rich.Subject);
        Assert.Equal("EC P-256", Rich.KeyDescription);
        Assert.Equal("ECDSA with SHA-256", Rich.SignatureDescription);
        Assert.Equal(new BasicConstraints(true, 2, true), Rich.BasicConstraints);
        Assert.Equal(KeyUsages.KeyCertSign | KeyUsages.CrlSign, Rich.KeyUsage);
        Assert.Equal(["spiffe://example.org"], Rich.UriNames);
        Assert.Equal(["ca.example.org"], Rich.DnsNames);
        Assert.Equal(["10.0.0.1"], Rich.IpAddresses.Select(a => a.ToString()));
        Assert.Equal([CertificateForge.ServerAuth, CertificateForge.ClientAuth], Rich.ExtendedKeyUsages!);
        Assert.Equal(3, Rich.NameConstraints!.Permitted.Count);
        Assert.Equal(["http://crl.example.org/ca.crl"], Rich.CrlUris);
        Assert.Equal(Rich.SubjectKeyIdentifier.ToArray(), Rich.AuthorityKeyId.ToArray());
        Assert.True(Rich.IsSelfIssued && Rich.IsSignedBy(Rich) && Rich.IsAuthority);
    }

    [Fact]
    public void Is_equal_by_its_bytes()
    {
        var copy = Certificate.Parse(Rich.Der.ToArray());

        Assert.Equal(Rich, copy);
        Assert.Equal(Rich.GetHashCode(), copy.GetHashCode());
        Assert.NotEqual(Rich, CertificateForge.Authority("O=Test,CN=rich").SignSelf().Certificate);
    }

    [Fact]
    public void Refuses_trailing_bytes_a_second_certificate_and_nothing()
    {
        Refuses([.. Rich.Der.Span, 0], "malformed");
        Refuses([.. Rich.Der.Span, .. Rich.Der.Span], "malformed");
        Refuses([], "malformed");
        Refuses(new byte[Certificate.MaxLength + 1], "the limit is 65536");
    }

    [Fact]
    public void Refuses_every_truncation()
    {
        for (var length = 0; length < Rich.Der.Length; length++)
        {
            Assert.False(Certificate.TryParse(Rich.Der[..length], out _, out _));
        }
    }

    [Fact]
    public void Refuses_a_doubled_extension() => Refuses(Rebuilt(extensions => [.. extensions, extensions[0]]), "appears twice");

    [Fact]
    public void Refuses_more_extensions_than_its_limit() =>
        Refuses(Rebuilt(extensions => [.. extensions, .. Enumerable.Range(0, 64).Select(i => Extension($"1.3.6.1.4.1.55738.{i}", [5, 0]))]), "more than 64 extensions");

    [Fact]
    public void Refuses_more_names_than_its_limit() => Refuses(
        Rebuilt(extensions => [Extension("2.5.29.17", CertificateForge.GeneralNames([.. Enumerable.Range(0, 1001).Select(i => $"dns:d{i}.example.org")]))]), "more than 1000 names");

    [Fact]
    public void Refuses_empty_extensions() => Refuses(Rebuilt(_ => []), "malformed");

    [Theory]
    [InlineData("2.5.29.17", "3000")]
    [InlineData("2.5.29.17", "68656c6c6f")]
    [InlineData("2.5.29.17", "3003820161ff")]
    [InlineData("2.5.29.17", "300387010a")]
    [InlineData("2.5.29.17", "30038201ff")]
    [InlineData("2.5.29.15", "03020700")]
    [InlineData("2.5.29.15", "0500")]
    [InlineData("2.5.29.37", "3000")]
    [InlineData("2.5.29.30", "3000")]
    [InlineData("2.5.29.30", "3002a000")]
    [InlineData("2.5.29.19", "30030101ff00")]
    [InlineData("2.5.29.19", "30060101ff0201ff")]
    [InlineData("2.5.29.19", "3003010101")]
    [InlineData("2.5.29.31", "3000")]
    [InlineData("1.3.6.1.5.5.7.1.1", "3000")]
    [InlineData("1.3.6.1.5.5.7.1.1", "68656c6c6f")]
    public void Refuses_an_extension_that_is_malformed(string oid, string content) => Refuses(Rebuilt(_ => [Extension(oid, Convert.FromHexString(content))]), "malformed");

    [Fact]
    public void Refuses_a_signature_algorithm_that_differs_inside_and_outside()
    {
        var der = Rich.Der.ToArray();
        var outside = der.AsSpan().LastIndexOf(Convert.FromHexString("06082a8648ce3d040302"));
        der[outside + 9] = 3;

        Refuses(der, "signature algorithm inside differs");
    }

    [Fact]
    public void Never_throws_on_changed_bytes_and_never_believes_the_signature()
    {
        Prop.ForAll(
            Gen.Choose(0, Rich.Der.Length - 1).Four().Zip(Gen.Choose(1, 255)).ToArbitrary(),
            change =>
            {
                var ((a, b, c, d), flip) = change;
                var der = Rich.Der.ToArray();
                der[a] ^= (byte)flip;
                der[b] ^= (byte)(flip >> 1);
                der[c] = (byte)flip;
                der[d] ^= 0x20;
                if (Certificate.TryParse(der, out var certificate, out var problem))
                {
                    Assert.True(der.AsSpan().SequenceEqual(Rich.Der.Span) || !certificate.IsSignedBy(Rich) || !certificate.Equals(Rich));
                    _ = certificate.Subject + certificate.Issuer + certificate;
                    PathValidator.Validate(new PathRequest { Leaf = certificate, Roots = [Rich], At = CertificateForge.Now, Profile = PathProfile.Rfc5280 });
                    X509SvidProfile.FindProblems(certificate);
                }
                else
                {
                    Assert.StartsWith("certificate is malformed", problem);
                }
            }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }

    [Fact]
    public void Never_throws_on_any_single_changed_byte()
    {
        var survivors = 0;
        for (var i = 0; i < Rich.Der.Length; i++)
        {
            foreach (var value in new byte[] { 0x00, 0x01, 0x7f, 0x80, 0xff })
            {
                var der = Rich.Der.ToArray();
                if (der[i] != value)
                {
                    der[i] = value;
                    survivors += Certificate.TryParse(der, out var certificate, out _) && certificate.IsSignedBy(Rich) ? 1 : 0;
                }
            }
        }

        Assert.Equal(0, survivors);
    }

    [Fact]
    public void Never_throws_on_noise() => Prop.ForAll(
        ArbMap.Default.ArbFor<byte[]>(),
        noise =>
        {
            Assert.False(Certificate.TryParse(noise, out _, out _));
            Assert.False(SigningRequest.TryParse(noise, out _, out _));
            Assert.False(KeyPair.TryImportPkcs8(noise, out _, out _));
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("O=Test,CN=a", "O=TEST,CN=A", true)]
    [InlineData("O=Test,CN=a b", "O=Test,CN= a   b ", true)]
    [InlineData("O=Test,CN=ab", "O=Test,CN=a b", false)]
    [InlineData("O=Test,CN=a", "CN=a,O=Test", false)]
    [InlineData("O=Test", "OU=Test", false)]
    [InlineData("", "", true)]
    [InlineData("", "CN=a", false)]
    public void Compares_names_by_RFC_5280_section_7_1(string a, string b, bool areEqual)
    {
        var first = (CertificateForge.Server("x") with { Subject = a }).SignSelf().Certificate.SubjectName;
        var second = (CertificateForge.Server("x") with { Subject = b }).SignSelf().Certificate.SubjectName;

        Assert.Equal(areEqual, first.Equals(second));
        Assert.True(!areEqual || first.GetHashCode() == second.GetHashCode());
    }

    [Fact]
    public void Shows_names_by_RFC_4514_without_control_characters()
    {
        var name = DistinguishedName.Of(("C", "US"), ("O", "Test, Inc."), ("CN", " #a\u0007\u00e9 "));

        Assert.Equal("CN=\\ #a\\u0007\u00e9\\ ,O=Test\\, Inc.,C=US", name.ToString());
        Assert.Equal(" #a\u0007\u00e9 ", name.CommonName);
    }

    private static void Refuses(byte[] der, string why)
    {
        Assert.False(Certificate.TryParse(der, out var certificate, out var problem));
        Assert.Null(certificate);
        Assert.Contains(why, problem);
        Assert.Throws<FormatException>(() => Certificate.Parse(der));
    }

    /// <summary>The rich certificate with other extensions and a signature that no longer fits: parsing does not look at it.</summary>
    private static byte[] Rebuilt(Func<byte[][], byte[][]> change)
    {
        var whole = new AsnReader(Rich.Der, AsnEncodingRules.DER).ReadSequence();
        var fields = whole.ReadSequence();
        var before = Enumerable.Range(0, 7).Select(_ => fields.ReadEncodedValue().ToArray()).ToArray();
        var extensions = new List<byte[]>();
        var list = fields.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 3)).ReadSequence();
        while (list.HasData)
        {
            extensions.Add(list.ReadEncodedValue().ToArray());
        }

        return CertificateForge.Encode(w =>
        {
            using (w.PushSequence())
            {
                using (w.PushSequence())
                {
                    foreach (var field in before)
                    {
                        w.WriteEncodedValue(field);
                    }

                    using (w.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 3)))
                    using (w.PushSequence())
                    {
                        foreach (var extension in change([.. extensions]))
                        {
                            w.WriteEncodedValue(extension);
                        }
                    }
                }

                w.WriteEncodedValue(whole.ReadEncodedValue().Span);
                w.WriteEncodedValue(whole.ReadEncodedValue().Span);
            }
        });
    }

    private static byte[] Extension(string oid, byte[] content) => CertificateForge.Encode(w =>
    {
        using (w.PushSequence())
        {
            w.WriteObjectIdentifier(oid);
            w.WriteOctetString(content);
        }
    });

    private static byte[] CrlPoint(string uri) => CertificateForge.Encode(w =>
    {
        using (w.PushSequence())
        using (w.PushSequence())
        using (w.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
        using (w.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
        {
            w.WriteCharacterString(UniversalTagNumber.IA5String, uri, new Asn1Tag(TagClass.ContextSpecific, 6));
        }
    });
}
