using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

/// <summary>RFC 5280 §5 and §6.3 on lists that Signet did not write.</summary>
public sealed class RevocationTests
{
    private static readonly DateTimeOffset Now = CertificateForge.Now;
    private static readonly ForgedCertificate Root = CertificateForge.Authority("CN=root").SignSelf();
    private static readonly ForgedCertificate Issuing = CertificateForge.Authority("CN=issuing").Sign(Root);
    private static readonly ForgedCertificate Leaf = CertificateForge.Workload().Sign(Issuing);
    private static readonly ForgedCertificate Other = CertificateForge.Workload().Sign(Issuing);

    [Fact]
    public void Accepts_a_leaf_that_no_list_names()
    {
        Assert.True(Judge(new Crl(Issuing), new Crl(Root)).IsValid);
        Assert.True(Judge(new Crl(Issuing) { Revoked = [Other] }, new Crl(Root)).IsValid);
    }

    [Fact]
    public void Refuses_a_leaf_and_an_intermediate_that_a_list_names()
    {
        var leaf = Judge(new Crl(Issuing) { Revoked = [Other, Leaf] }, new Crl(Root));

        Assert.Equal(PathProblem.Revoked, leaf.Problem);
        Assert.Contains("was revoked at 2026-11-26T11:00:00Z", leaf.Reason);
        Assert.Equal(PathProblem.Revoked, Judge(new Crl(Issuing), new Crl(Root) { Revoked = [Issuing] }).Problem);
    }

    [Fact]
    public void Believes_the_list_whatever_the_date_in_the_entry() =>
        Assert.Equal(PathProblem.Revoked, Judge(new Crl(Issuing) { Revoked = [Leaf], Since = Now.AddDays(3) }, new Crl(Root)).Problem);

    [Fact]
    public void Does_not_mix_up_the_serial_numbers_of_different_issuers()
    {
        var namesake = new Crl(Root) { Revoked = [Leaf] };

        Assert.True(Judge(new Crl(Issuing), namesake).IsValid);
    }

    [Fact]
    public void Looks_at_nothing_when_no_list_is_given() => Assert.True(Judge().IsValid);

    [Fact]
    public void Refuses_when_a_certificate_has_no_list_of_its_issuer()
    {
        Assert.Equal(PathProblem.RevocationUnknown, Judge(new Crl(Issuing)).Problem);
        Assert.Equal(PathProblem.RevocationUnknown, Judge(new Crl(Root)).Problem);
    }

    [Fact]
    public void Can_be_told_that_some_issuers_publish_no_list()
    {
        Assert.True(Judge(RevocationScope.WherePublished, new Crl(Issuing)).IsValid);
        Assert.Equal(PathProblem.Revoked, Judge(RevocationScope.WherePublished, new Crl(Issuing) { Revoked = [Leaf] }).Problem);
        Assert.Equal(PathProblem.RevocationUnknown, Judge(RevocationScope.WherePublished, new Crl(Issuing) { NextUpdate = Now.AddSeconds(-1) }).Problem);
    }

    [Fact]
    public void Refuses_lists_from_the_past_and_the_future()
    {
        Assert.Contains("ended at", Judge(new Crl(Issuing) { NextUpdate = Now.AddSeconds(-1) }, new Crl(Root)).Reason);
        Assert.Contains("begins at", Judge(new Crl(Issuing) { ThisUpdate = Now.AddSeconds(1) }, new Crl(Root)).Reason);
        Assert.True(Judge(new Crl(Issuing) { NextUpdate = Now }, new Crl(Root)).IsValid);
        Assert.True(Judge(new Crl(Issuing) { ThisUpdate = Now }, new Crl(Root)).IsValid);
    }

    [Fact]
    public void Goes_by_a_current_list_when_an_old_one_lies_beside_it() =>
        Assert.True(Judge(new Crl(Issuing) { NextUpdate = Now.AddDays(-1) }, new Crl(Issuing), new Crl(Root)).IsValid);

    [Fact]
    public void Refuses_a_list_that_another_key_signed()
    {
        Assert.Contains("was not made by the key", Judge(new Crl(Issuing) { Signer = Root.Key }, new Crl(Root)).Reason);
        Assert.Contains("is not one that Signet trusts", Judge(new Crl(Issuing) { SignatureOid = "1.2.840.10045.4.1" }, new Crl(Root)).Reason);
    }

    [Fact]
    public void Refuses_a_list_of_an_issuer_that_may_not_sign_lists()
    {
        var silent = (CertificateForge.Authority("CN=silent") with { Usage = KeyUsages.KeyCertSign }).SignSelf();
        var unsaid = (CertificateForge.Authority("CN=unsaid") with { Usage = null }).SignSelf();

        Assert.Contains("lacks cRLSign", JudgeUnder(silent).Reason);
        Assert.True(JudgeUnder(unsaid).IsValid);
    }

    [Theory]
    [InlineData("http://crl.example.org/1", "http://crl.example.org/1", true)]
    [InlineData("http://crl.example.org/1", "http://crl.example.org/2", false)]
    [InlineData("http://crl.example.org/%31", "http://crl.example.org/1", false)]
    [InlineData(null, "http://crl.example.org/1", false)]
    [InlineData("http://crl.example.org/1", null, true)]
    public void Goes_by_a_partitioned_list_only_where_the_certificate_points_to_it(string? pointed, string? partition, bool isValid)
    {
        var leaf = (CertificateForge.Workload() with { Extra = pointed is null ? [] : [new("2.5.29.31", Points(pointed), false)] }).Sign(Root);
        var list = new Crl(Root) { Scope = partition is null ? null : ScopeOf(partition) };

        Assert.Equal(isValid ? PathProblem.None : PathProblem.RevocationUnknown, Judge(leaf.Certificate, [], [list.Made()]).Problem);
    }

    [Theory]
    [InlineData(1, PathProblem.None, PathProblem.RevocationUnknown)]
    [InlineData(2, PathProblem.RevocationUnknown, PathProblem.None)]
    public void Goes_by_a_list_for_one_kind_of_certificate_only_for_that_kind(int flag, PathProblem asLeafList, PathProblem asAuthorityList)
    {
        byte[] scope = [0x30, 0x03, (byte)(0x80 | flag), 0x01, 0xff];

        Assert.Equal(asLeafList, Judge(new Crl(Issuing) { Scope = scope }, new Crl(Root)).Problem);
        Assert.Equal(asAuthorityList, Judge(new Crl(Issuing), new Crl(Root) { Scope = scope }).Problem);
    }

    [Theory]
    [InlineData("3003840 1ff", "indirect")]
    [InlineData("30038501ff", "attribute")]
    [InlineData("300483020640", "some reasons")]
    [InlineData("3009a007a005820378797a", "URIs alone")]
    public void Refuses_indirect_lists_and_lists_for_some_reasons(string scope, string why) =>
        Refuses(new Crl(Issuing) { Scope = Convert.FromHexString(scope.Replace(" ", "")) }, why);

    [Fact]
    public void Refuses_what_the_RFC_does_not_allow()
    {
        Refuses(new Crl(Issuing) { HasNumber = false }, "has no number");
        Refuses(new Crl(Issuing) { IsNumberCritical = true }, "must not be critical");
        Refuses(new Crl(Issuing) { Version = 0 }, "version is not 2");
        Refuses(new Crl(Issuing) { HasNextUpdate = false }, "malformed");
        Refuses(new Crl(Issuing) { Extra = ("1.3.6.1.4.1.55738.1", true) }, "critical extension");
        Refuses(new Crl(Issuing) { Extra = ("2.5.29.27", true) }, "delta");
        Refuses(new Crl(Issuing) { Revoked = [Leaf, Leaf] }, "twice");
        Refuses(new Crl(Issuing) { Revoked = [Leaf], EntryExtra = true }, "an entry has the critical extension");
        Assert.True(Judge(new Crl(Issuing) { Extra = ("1.3.6.1.4.1.55738.1", false) }, new Crl(Root)).IsValid);
    }

    [Fact]
    public void Reads_what_the_base_class_library_wrote()
    {
        var builder = new CertificateRevocationListBuilder();
        builder.AddEntry(Convert.FromHexString(Leaf.Certificate.SerialHex), Now.AddHours(-1), X509RevocationReason.KeyCompromise);
        using var issuer = X509CertificateLoader.LoadCertificate(Issuing.Certificate.Der.Span);
        using var withKey = issuer.CopyWithPrivateKey((ECDsa)Issuing.Key);
        var der = builder.Build(withKey, new BigInteger(77), Now.AddDays(1), HashAlgorithmName.SHA256, null, Now.AddHours(-1));

        Assert.True(CertificateRevocationList.TryParse(der, out var list, out var problem), problem);
        Assert.Equal("4d", list.NumberHex);
        Assert.Equal(1, list.Count);
        Assert.True(list.IsSignedBy(Issuing.Certificate));
        Assert.True(list.Contains(Leaf.Certificate.SerialHex, out var since));
        Assert.Equal(Now.AddHours(-1), since);
        Assert.Equal(Issuing.Certificate.SubjectKeyIdentifier.ToArray(), list.AuthorityKeyId.ToArray());
        Assert.True(CertificateRevocationList.TryReadPem(new string(PemEncoding.Write("X509 CRL", der)), out var lists, out problem), problem);
        Assert.Single(lists);
    }

    [Fact]
    public void Reads_a_list_of_ten_thousand()
    {
        var list = new Crl(Issuing) { Serials = [.. Enumerable.Range(1, 10_000).Select(i => new BigInteger(i))] }.Made();

        Assert.Equal(10_000, list.Count);
        Assert.True(list.Contains("2710", out _));
    }

    [Fact]
    public void Never_throws_on_changed_bytes_and_never_believes_the_signature()
    {
        var good = new Crl(Issuing) { Revoked = [Leaf], Scope = ScopeOf("http://crl.example.org/1") }.Encoded();
        for (var i = 0; i < good.Length; i++)
        {
            foreach (var value in new byte[] { 0x00, 0x01, 0x7f, 0x80, 0xff })
            {
                var changed = good.ToArray();
                if (changed[i] != value)
                {
                    changed[i] = value;
                    Assert.False(CertificateRevocationList.TryParse(changed, out var list, out _) && list.IsSignedBy(Issuing.Certificate));
                }
            }
        }
    }

    [Fact]
    public void Tells_a_revoked_peer_from_one_that_is_not()
    {
        var bundles = TrustBundles.Of(X509Bundle.Create(TestPki.Domain, [Root.Certificate]));
        IReadOnlyList<CertificateRevocationList> lists = [new Crl(Issuing) { Revoked = [Leaf] }.Made()];

        Assert.Equal(PeerProblem.Revoked, SvidVerifier.Verify([Leaf.Certificate, Issuing.Certificate], bundles, CertificateUsage.Client, Now, lists).Problem);
        Assert.True(SvidVerifier.Verify([Other.Certificate, Issuing.Certificate], bundles, CertificateUsage.Client, Now, lists).IsTrusted);
    }

    private static PathVerdict Judge(params Crl[] lists) => Judge(RevocationScope.EveryCertificate, lists);

    private static PathVerdict Judge(RevocationScope scope, params Crl[] lists) => Judge(Leaf.Certificate, [Issuing.Certificate], [.. lists.Select(l => l.Made())], scope);

    private static PathVerdict Judge(Certificate leaf, Certificate[] intermediates, CertificateRevocationList[] lists, RevocationScope scope = RevocationScope.EveryCertificate, Certificate? root = null) =>
        PathValidator.Validate(new PathRequest { Leaf = leaf, Intermediates = intermediates, Roots = [root ?? Root.Certificate], At = Now, Crls = lists, RevocationScope = scope });

    private static PathVerdict JudgeUnder(ForgedCertificate root) => Judge(CertificateForge.Workload().Sign(root).Certificate, [], [new Crl(root).Made()], root: root.Certificate);

    private static void Refuses(Crl list, string why)
    {
        Assert.False(CertificateRevocationList.TryParse(list.Encoded(), out var made, out var problem));
        Assert.Null(made);
        Assert.Contains(why, problem);
    }

    private static byte[] Points(string uri) => CertificateForge.Encode(w =>
    {
        using (w.PushSequence())
        using (w.PushSequence())
        {
            WriteName(w, uri);
        }
    });

    private static byte[] ScopeOf(string uri) => CertificateForge.Encode(w =>
    {
        using (w.PushSequence())
        {
            WriteName(w, uri);
        }
    });

    private static void WriteName(AsnWriter writer, string uri)
    {
        using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
        using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
        {
            writer.WriteCharacterString(UniversalTagNumber.IA5String, uri, new Asn1Tag(TagClass.ContextSpecific, 6));
        }
    }

    /// <summary>A list that can be wrong in every field.</summary>
    private sealed record Crl(ForgedCertificate Issuer)
    {
        public ForgedCertificate[] Revoked { get; init; } = [];

        public BigInteger[] Serials { get; init; } = [];

        public DateTimeOffset Since { get; init; } = Now.AddHours(-1);

        public DateTimeOffset ThisUpdate { get; init; } = Now.AddHours(-1);

        public DateTimeOffset NextUpdate { get; init; } = Now.AddDays(1);

        public bool HasNextUpdate { get; init; } = true;

        public int Version { get; init; } = 1;

        public bool HasNumber { get; init; } = true;

        public bool IsNumberCritical { get; init; }

        public byte[]? Scope { get; init; }

        public (string Oid, bool IsCritical)? Extra { get; init; }

        public bool EntryExtra { get; init; }

        public AsymmetricAlgorithm? Signer { get; init; }

        public string SignatureOid { get; init; } = "1.2.840.10045.4.3.2";

        public CertificateRevocationList Made()
        {
            Assert.True(CertificateRevocationList.TryParse(Encoded(), out var list, out var problem), problem);
            return list;
        }

        public byte[] Encoded()
        {
            var signed = CertificateForge.Encode(WriteSigned);
            return CertificateForge.Encode(w =>
            {
                using (w.PushSequence())
                {
                    w.WriteEncodedValue(signed);
                    WriteAlgorithm(w);
                    w.WriteBitString(((ECDsa)(Signer ?? Issuer.Key)).SignData(signed, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
                }
            });
        }

        private void WriteSigned(AsnWriter w)
        {
            using (w.PushSequence())
            {
                w.WriteInteger(Version);
                WriteAlgorithm(w);
                w.WriteEncodedValue(Issuer.Certificate.SubjectDer.Span);
                w.WriteUtcTime(ThisUpdate, 2049);
                if (HasNextUpdate)
                {
                    w.WriteUtcTime(NextUpdate, 2049);
                }

                var serials = Serials.Concat(Revoked.Select(c => new BigInteger(Convert.FromHexString(c.Certificate.SerialHex), isUnsigned: true, isBigEndian: true))).ToArray();
                if (serials.Length > 0)
                {
                    using (w.PushSequence())
                    {
                        foreach (var serial in serials)
                        {
                            using (w.PushSequence())
                            {
                                w.WriteInteger(serial);
                                w.WriteUtcTime(Since, 2049);
                                if (EntryExtra)
                                {
                                    using (w.PushSequence())
                                    {
                                        WriteExtension(w, "1.3.6.1.4.1.55738.2", true, [5, 0]);
                                    }
                                }
                            }
                        }
                    }
                }

                using (w.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
                using (w.PushSequence())
                {
                    if (HasNumber)
                    {
                        WriteExtension(w, "2.5.29.20", IsNumberCritical, [2, 1, 7]);
                    }

                    if (Scope is not null)
                    {
                        WriteExtension(w, "2.5.29.28", true, Scope);
                    }

                    if (Extra is var (oid, isCritical))
                    {
                        WriteExtension(w, oid, isCritical, [2, 1, 1]);
                    }

                    WriteExtension(w, "2.5.29.99", false, [5, 0]);
                }
            }
        }

        private void WriteAlgorithm(AsnWriter w)
        {
            using (w.PushSequence())
            {
                w.WriteObjectIdentifier(SignatureOid);
            }
        }

        private static void WriteExtension(AsnWriter w, string oid, bool isCritical, byte[] content)
        {
            using (w.PushSequence())
            {
                w.WriteObjectIdentifier(oid);
                if (isCritical)
                {
                    w.WriteBoolean(true);
                }

                w.WriteOctetString(content);
            }
        }
    }
}
