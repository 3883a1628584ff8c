using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class SigningRequestTests
{
    private static readonly AsymmetricAlgorithm Key = KeyPair.Generate(KeyType.EcP256);
    private static readonly byte[] Good = SigningRequest.Create(Key, TestPki.Orders);

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.EcP384)]
    [InlineData(KeyType.Rsa2048)]
    [InlineData(KeyType.Rsa4096)]
    [InlineData(KeyType.Ed25519)]
    public void Reads_what_it_wrote(KeyType keyType)
    {
        using var key = KeyPair.Generate(keyType);

        Assert.True(SigningRequest.TryParse(SigningRequest.Create(key, TestPki.Orders), out var request, out var problem), problem);
        Assert.Equal([TestPki.Orders.Uri], request.UriNames);
        Assert.Equal(KeyPair.ExportPublicKey(key), request.SubjectPublicKeyInfo.ToArray());
        Assert.True(request.SubjectName.IsEmpty);
        Assert.True(SigningRequest.TryParse(SigningRequest.Create(key), out request, out problem), problem);
        Assert.Empty(request.AlternativeNames);
        Assert.True(SigningRequest.TryParse(SigningRequest.Create(key, id: null, ["a.example"]), out request, out problem), problem);
        Assert.Equal(["a.example"], request.DnsNames);
        Assert.Empty(request.UriNames);
    }

    [Fact]
    public void Writes_what_the_base_class_library_reads()
    {
        var theirs = CertificateRequest.LoadSigningRequest(Good, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions);

        Assert.Equal(KeyPair.ExportPublicKey(Key), theirs.PublicKey.ExportSubjectPublicKeyInfo());
        Assert.Equal("2.5.29.17", Assert.Single(theirs.CertificateExtensions).Oid!.Value);
    }

    [Fact]
    public void Reads_what_the_base_class_library_wrote()
    {
        using var rsa = RSA.Create(2048);
        var theirs = new CertificateRequest("CN=orders,O=Test", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("orders.example.org");
        names.AddUri(new Uri("spiffe://example.org/orders"));
        theirs.CertificateExtensions.Add(names.Build());
        theirs.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));

        Assert.True(SigningRequest.TryParse(theirs.CreateSigningRequest(), out var request, out var problem), problem);
        Assert.Equal(["orders.example.org"], request.DnsNames);
        Assert.Equal("RSA 2048", request.KeyDescription);
        Assert.Equal("orders", request.SubjectName.CommonName);
    }

    [Fact]
    public void Refuses_a_signature_that_the_key_did_not_make()
    {
        var tampered = Good.ToArray();
        tampered[^1] ^= 1;
        Refuses(tampered, "not made by the key");

        // Another key under the same request.
        using var other = KeyPair.Generate(KeyType.EcP256);
        var (mine, theirs) = (KeyPair.ExportPublicKey(Key), KeyPair.ExportPublicKey(other));
        var swapped = Good.ToArray();
        theirs.CopyTo(swapped.AsSpan(swapped.AsSpan().IndexOf(mine), theirs.Length));
        Refuses(swapped, "not made by the key");
    }

    [Theory]
    [InlineData("rsa1024", "the least is 2048")]
    [InlineData("brainpool", "is not one of P-256, P-384 and P-521")]
    public void Refuses_weak_keys_and_odd_curves(string keyName, string why)
    {
        var key = CertificateForge.NewKey(keyName);
        var request = key is ECDsa ec ? new CertificateRequest("CN=a", ec, HashAlgorithmName.SHA256) : new CertificateRequest("CN=a", (RSA)key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);

        Refuses(request.CreateSigningRequest(), why);
    }

    [Fact]
    public void Refuses_a_curve_given_by_its_parameters()
    {
        var request = Request(
            w =>
            {
                w.WriteObjectIdentifier("1.2.840.10045.2.1");
                using (w.PushSequence())
                {
                    w.WriteInteger(1);
                }
            },
            KeyPair.ExportPublicKey(Key)[^65..]);

        Refuses(request, "does not name its curve");
    }

    [Fact]
    public void Refuses_a_point_that_is_not_on_the_curve()
    {
        var point = Good.ToArray();
        var bits = point.AsSpan().IndexOf(KeyPair.ExportPublicKey(Key).AsSpan(^64..));
        point[bits + 40] ^= 1;

        Refuses(point, "not a valid key");
    }

    [Fact]
    public void Refuses_a_key_so_long_that_checking_it_is_an_attack()
    {
        var huge = Request(
            w =>
            {
                w.WriteObjectIdentifier("1.2.840.113549.1.1.1");
                w.WriteNull();
            },
            CertificateForge.Encode(k =>
            {
                using (k.PushSequence())
                {
                    k.WriteIntegerUnsigned([.. Enumerable.Repeat((byte)0xff, 1100)]);
                    k.WriteInteger(65537);
                }
            }));

        Refuses(huge, "the most is 8192");
    }

    [Fact]
    public void Refuses_SHA1_and_what_is_too_long()
    {
        var sha1 = Good.ToArray();
        var algorithm = sha1.AsSpan().LastIndexOf(Convert.FromHexString("06082a8648ce3d040302"));
        sha1[algorithm + 9] = 9;
        Refuses(sha1, "is not one that Signet trusts");
        Refuses(new byte[SigningRequest.MaxLength + 1], "the limit is 16384");
        Refuses([.. Good, 0], "malformed");
    }

    [Fact]
    public void Never_throws_on_changed_bytes_and_never_takes_them()
    {
        for (var i = 0; i < Good.Length; i++)
        {
            foreach (var value in new byte[] { 0x00, 0x01, 0x7f, 0x80, 0xff })
            {
                var changed = Good.ToArray();
                if (changed[i] != value)
                {
                    changed[i] = value;
                    Assert.False(SigningRequest.TryParse(changed, out _, out var problem));
                    Assert.NotEmpty(problem);
                }
            }
        }
    }

    /// <summary>A request for a key of whatever shape, with a signature that is none.</summary>
    private static byte[] Request(Action<AsnWriter> algorithm, byte[] keyBits) => CertificateForge.Encode(w =>
    {
        using (w.PushSequence())
        {
            using (w.PushSequence())
            {
                w.WriteInteger(0);
                w.WriteEncodedValue(DistinguishedName.Empty.Der.Span);
                using (w.PushSequence())
                {
                    using (w.PushSequence())
                    {
                        algorithm(w);
                    }

                    w.WriteBitString(keyBits);
                }

                w.WriteEncodedValue([0xa0, 0x00]);
            }

            using (w.PushSequence())
            {
                w.WriteObjectIdentifier("1.2.840.10045.4.3.2");
            }

            w.WriteBitString(new byte[8]);
        }
    });

    private static void Refuses(byte[] der, string why)
    {
        Assert.False(SigningRequest.TryParse(der, out var request, out var problem));
        Assert.Null(request);
        Assert.Contains(why, problem);
    }
}
