using System.Collections.Concurrent;
using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Signet.Identity.X509;
using PublicKey = System.Security.Cryptography.X509Certificates.PublicKey;

namespace Signet.Testing.X509;

/// <summary>
/// Makes certificates that no honest authority would: every field and extension can be left out, doubled or wrong. Written with the base class
/// library, not with Signet's own encoder, so that the two check each other.
/// </summary>
public sealed record CertificateForge
{
    public static readonly DateTimeOffset Now = new(2026, 11, 26, 12, 0, 0, TimeSpan.Zero);

    private static readonly ConcurrentDictionary<string, AsymmetricAlgorithm> RsaKeys = new();
    private static long _serial = 0x40_0000_0000_0001;

    public string Subject { get; init; } = "CN=leaf";

    /// <summary>The issuer as written into the certificate; null for the real one.</summary>
    public string? Issuer { get; init; }

    public DateTimeOffset NotBefore { get; init; } = Now.AddDays(-1);

    public DateTimeOffset NotAfter { get; init; } = Now.AddDays(30);

    /// <summary>p256, p384, p521, rsa1024, rsa2048, rsa3072, brainpool.</summary>
    public string KeyName { get; init; } = "p256";

    /// <summary>A key to use instead of a new one: cross-signing, renewal under the same key.</summary>
    public AsymmetricAlgorithm? Key { get; init; }

    /// <summary>Basic constraints; null leaves the extension out.</summary>
    public bool? IsAuthority { get; init; }

    public int? PathLength { get; init; }

    public bool AreBasicConstraintsCritical { get; init; } = true;

    public KeyUsages? Usage { get; init; } = KeyUsages.DigitalSignature;

    public bool IsUsageCritical { get; init; } = true;

    /// <summary>Purposes as object identifiers; null leaves the extension out.</summary>
    public string[]? Purposes { get; init; } = [ServerAuth, ClientAuth];

    /// <summary>Alternative names: <c>uri:</c>, <c>dns:</c>, <c>ip:</c>, <c>email:</c>, <c>dir:</c> and the value.</summary>
    public string[] Names { get; init; } = [];

    public bool AreNamesCritical { get; init; }

    public string[] Permitted { get; init; } = [];

    public string[] Excluded { get; init; } = [];

    public bool HasKeyId { get; init; } = true;

    public bool HasIssuerKeyId { get; init; } = true;

    /// <summary>An issuer key identifier to write instead of the real one.</summary>
    public byte[]? IssuerKeyId { get; init; }

    public HashAlgorithmName Hash { get; init; } = HashAlgorithmName.SHA256;

    public byte[]? Serial { get; init; }

    public X509Extension[] Extra { get; init; } = [];

    public const string ServerAuth = "1.3.6.1.5.5.7.3.1";
    public const string ClientAuth = "1.3.6.1.5.5.7.3.2";
    public const string CodeSigning = "1.3.6.1.5.5.7.3.3";

    /// <summary>An authority with everything an authority should have.</summary>
    public static CertificateForge Authority(string subject) => new()
    {
        Subject = subject,
        IsAuthority = true,
        Usage = KeyUsages.KeyCertSign | KeyUsages.CrlSign,
        Purposes = null,
        NotAfter = Now.AddDays(365),
    };

    /// <summary>A workload's certificate with everything it should have.</summary>
    public static CertificateForge Workload(string uri = "spiffe://example.org/orders") => new() { Subject = "O=Test,CN=workload", IsAuthority = false, Names = ["uri:" + uri] };

    /// <summary>A web server's certificate with everything it should have.</summary>
    public static CertificateForge Server(params string[] dnsNames) => new()
    {
        Subject = "O=Test,CN=server",
        IsAuthority = false,
        Purposes = [ServerAuth],
        Names = [.. dnsNames.Select(n => "dns:" + n)],
    };

    public static X509Extension Unknown(bool isCritical) => new("1.3.6.1.4.1.55738.7777.1", [0x05, 0x00], isCritical);

    public static AsymmetricAlgorithm NewKey(string name) => name switch
    {
        "p256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
        "p384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
        "p521" => ECDsa.Create(ECCurve.NamedCurves.nistP521),
        "brainpool" => ECDsa.Create(ECCurve.NamedCurves.brainpoolP256r1),
        // RSA keys are slow to make, so there is one of each length.
        _ => RsaKeys.GetOrAdd(name, n => RSA.Create(int.Parse(n["rsa".Length..], System.Globalization.CultureInfo.InvariantCulture))),
    };

    public ForgedCertificate SignSelf()
    {
        var key = Key ?? NewKey(KeyName);
        return Sign(key, new ForgedCertificate(null!, key), isSelf: true);
    }

    public ForgedCertificate Sign(ForgedCertificate issuer) => Sign(Key ?? NewKey(KeyName), issuer, isSelf: false);

    private ForgedCertificate Sign(AsymmetricAlgorithm key, ForgedCertificate issuer, bool isSelf)
    {
        var request = Request(key);
        foreach (var extension in Extensions(request, isSelf ? null : issuer.Certificate))
        {
            request.CertificateExtensions.Add(extension);
        }

        var issuerName = Issuer is not null ? NameOf(Issuer) : isSelf ? request.SubjectName : new X500DistinguishedName(issuer.Certificate.SubjectDer.Span);
        X509SignatureGenerator generator = Hash == HashAlgorithmName.SHA1 ? new Sha1Generator(issuer.Key)
            : issuer.Key is ECDsa ec ? X509SignatureGenerator.CreateForECDsa(ec)
            : X509SignatureGenerator.CreateForRSA((RSA)issuer.Key, RSASignaturePadding.Pkcs1);
        using var made = request.Create(issuerName, generator, NotBefore, NotAfter, Serial ?? NextSerial());
        return new ForgedCertificate(Certificate.Parse(made.RawData), key);
    }

    private CertificateRequest Request(AsymmetricAlgorithm key) => key is ECDsa ec
        ? new CertificateRequest(NameOf(Subject), ec, Hash)
        : new CertificateRequest(NameOf(Subject), (RSA)key, Hash, RSASignaturePadding.Pkcs1);

    private IEnumerable<X509Extension> Extensions(CertificateRequest request, Certificate? issuer)
    {
        var keyId = new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false);
        if (IsAuthority is { } isAuthority)
        {
            yield return new X509BasicConstraintsExtension(isAuthority, PathLength is not null, PathLength ?? 0, AreBasicConstraintsCritical);
        }

        if (Usage is { } usage)
        {
            yield return new X509Extension("2.5.29.15", Encode(w => w.WriteNamedBitList(usage)), IsUsageCritical);
        }

        if (Purposes is not null)
        {
            yield return new X509EnhancedKeyUsageExtension([.. Purposes.Select(p => new Oid(p))], critical: false);
        }

        if (Names.Length > 0)
        {
            yield return new X509Extension("2.5.29.17", GeneralNames(Names), AreNamesCritical);
        }

        if (Permitted.Length + Excluded.Length > 0)
        {
            yield return new X509Extension("2.5.29.30", NameConstraints(Permitted, Excluded), critical: true);
        }

        if (HasKeyId)
        {
            yield return keyId;
        }

        if (HasIssuerKeyId)
        {
            yield return X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(
                IssuerKeyId ?? (issuer is { SubjectKeyIdentifier.IsEmpty: false } ? issuer.SubjectKeyIdentifier.ToArray() : keyId.SubjectKeyIdentifierBytes.ToArray()));
        }

        foreach (var extra in Extra)
        {
            yield return extra;
        }
    }

    /// <summary>Most general attribute first, as the encoding has it: <c>O=Test,CN=leaf</c>; empty for the empty name.</summary>
    public static X500DistinguishedName NameOf(string text)
    {
        var builder = new X500DistinguishedNameBuilder();
        foreach (var part in text.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var (type, value) = (part.Split('=')[0], part.Split('=')[1]);
            switch (type)
            {
                case "CN":
                    builder.AddCommonName(value);
                    break;
                case "O":
                    builder.AddOrganizationName(value);
                    break;
                case "E":
                    builder.AddEmailAddress(value);
                    break;
                default:
                    builder.AddOrganizationalUnitName(value);
                    break;
            }
        }

        // The builder writes in reverse; read it back in the order given.
        var reversed = new AsnReader(builder.Build().RawData, AsnEncodingRules.DER).ReadSequence();
        var parts = new List<byte[]>();
        while (reversed.HasData)
        {
            parts.Add(reversed.ReadEncodedValue().ToArray());
        }

        return new X500DistinguishedName(Encode(w =>
        {
            using (w.PushSequence())
            {
                foreach (var part in Enumerable.Reverse(parts))
                {
                    w.WriteEncodedValue(part);
                }
            }
        }));
    }

    public static byte[] GeneralNames(params string[] names) => Encode(w =>
    {
        using (w.PushSequence())
        {
            foreach (var name in names)
            {
                WriteName(w, name);
            }
        }
    });

    public static byte[] NameConstraints(string[] permitted, string[] excluded) => Encode(w =>
    {
        using (w.PushSequence())
        {
            foreach (var (tag, subtrees) in new[] { (0, permitted), (1, excluded) })
            {
                if (subtrees.Length == 0)
                {
                    continue;
                }

                using (w.PushSequence(new Asn1Tag(TagClass.ContextSpecific, tag)))
                {
                    foreach (var subtree in subtrees)
                    {
                        using (w.PushSequence())
                        {
                            WriteName(w, subtree);
                        }
                    }
                }
            }
        }
    });

    public static byte[] Encode(Action<AsnWriter> write)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        write(writer);
        return writer.Encode();
    }

    private static void WriteName(AsnWriter writer, string name)
    {
        var colon = name.IndexOf(':');
        var (kind, value) = (name[..colon], name[(colon + 1)..]);
        switch (kind)
        {
            case "email":
                writer.WriteOctetString(Encoding.Latin1.GetBytes(value), new Asn1Tag(TagClass.ContextSpecific, 1));
                break;
            case "dns":
                writer.WriteOctetString(Encoding.Latin1.GetBytes(value), new Asn1Tag(TagClass.ContextSpecific, 2));
                break;
            case "uri":
                writer.WriteOctetString(Encoding.Latin1.GetBytes(value), new Asn1Tag(TagClass.ContextSpecific, 6));
                break;
            case "dir":
                using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 4)))
                {
                    writer.WriteEncodedValue(NameOf(value).RawData);
                }

                break;
            case "ip":
                writer.WriteOctetString(Address(value), new Asn1Tag(TagClass.ContextSpecific, 7));
                break;
            case "oid":
                writer.WriteObjectIdentifier(value, new Asn1Tag(TagClass.ContextSpecific, 8));
                break;
            default:
                throw new ArgumentException(name);
        }
    }

    private static byte[] Address(string value)
    {
        var slash = value.Split('/');
        var address = IPAddress.Parse(slash[0]).GetAddressBytes();
        if (slash.Length == 1)
        {
            return address;
        }

        var mask = new byte[address.Length];
        for (var bit = 0; bit < int.Parse(slash[1], System.Globalization.CultureInfo.InvariantCulture); bit++)
        {
            mask[bit / 8] |= (byte)(0x80 >> (bit % 8));
        }

        return [.. address, .. mask];
    }

    /// <summary>The base class library no longer signs certificates with SHA-1; some authorities still do.</summary>
    private sealed class Sha1Generator(AsymmetricAlgorithm key) : X509SignatureGenerator
    {
        public override byte[] GetSignatureAlgorithmIdentifier(HashAlgorithmName hashAlgorithm) => Encode(w =>
        {
            using (w.PushSequence())
            {
                w.WriteObjectIdentifier(key is ECDsa ? "1.2.840.10045.4.1" : "1.2.840.113549.1.1.5");
                if (key is RSA)
                {
                    w.WriteNull();
                }
            }
        });

        public override byte[] SignData(byte[] data, HashAlgorithmName hashAlgorithm) => key is ECDsa ec
            ? ec.SignData(data, hashAlgorithm, DSASignatureFormat.Rfc3279DerSequence)
            : ((RSA)key).SignData(data, hashAlgorithm, RSASignaturePadding.Pkcs1);

        protected override PublicKey BuildPublicKey() => key is ECDsa ec ? new PublicKey(ec) : new PublicKey((RSA)key);
    }

    private static byte[] NextSerial()
    {
        var bytes = BitConverter.GetBytes(Interlocked.Increment(ref _serial));
        Array.Reverse(bytes);
        return bytes;
    }
}

/// <summary>A certificate and the key that belongs to it.</summary>
public sealed record ForgedCertificate(Certificate Certificate, AsymmetricAlgorithm Key)
{
    /// <summary>The same certificate with its last byte, in the signature, changed.</summary>
    public ForgedCertificate Tampered()
    {
        var der = Certificate.Der.ToArray();
        der[^1] ^= 1;
        return this with { Certificate = Certificate.Parse(der) };
    }
}
