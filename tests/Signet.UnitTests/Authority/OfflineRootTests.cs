using System.Security.Cryptography;
using Signet.Authority.Ceremony;
using Signet.Authority.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.UnitTests.Authority;

public sealed class OfflineRootTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");

    private readonly AsymmetricAlgorithm _anchorKey = KeyPair.Generate(KeyType.EcP384);
    private readonly AsymmetricAlgorithm _key = KeyPair.Generate(KeyType.EcP256);

    private Certificate Anchor => OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), _anchorKey, TimeSpan.FromDays(100), Now);

    [Fact]
    public void What_the_anchor_signs_can_be_installed()
    {
        var anchor = Anchor;
        Assert.True(X509SvidProfile.TryCheckAuthority(anchor, Domain, out var problem), problem);
        Assert.True(Sign(anchor, _anchorKey, Request(SpiffeId.Of(Domain)), out var issuing, out problem), problem);
        Assert.True(ExternalIssuer.TryCreate(Domain, [issuing!], _key, [anchor], Now, out _, out problem), problem);
        Assert.Equal(0, issuing!.BasicConstraints!.PathLength);
    }

    [Fact]
    public void An_issuing_authority_never_outlives_the_anchor()
    {
        var anchor = Anchor;
        Assert.True(OfflineRoot.TrySign(anchor, _anchorKey, Request(null), new CertificateSubject(), TimeSpan.FromDays(1000), Now, out var issuing, out var problem), problem);
        Assert.Equal(anchor.NotAfter, issuing.NotAfter);
        Assert.False(OfflineRoot.TrySign(anchor, _anchorKey, Request(null), new CertificateSubject(), TimeSpan.FromDays(1), Now.AddDays(101), out _, out problem));
        Assert.Contains("2030-04-11", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_for_any_other_name_is_refused()
    {
        Refused(Request(SpiffeId.Parse("spiffe://example.org/web")));
        Refused(Request(SpiffeId.Parse("spiffe://evil.org")));
        Refused(Request(SpiffeId.Of(Domain), "ca.example.org"));

        void Refused(SigningRequest request)
        {
            Assert.False(Sign(Anchor, _anchorKey, request, out _, out var problem));
            Assert.Contains("is named spiffe://example.org and nothing else", problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Another_key_or_something_that_is_no_anchor_signs_nothing()
    {
        Assert.False(Sign(Anchor, _key, Request(null), out _, out var problem));
        Assert.Contains("not that of", problem, StringComparison.Ordinal);
        var leaf = CertificateTemplate.Leaf(SpiffeId.Of(Domain, "/web"), KeyPair.ExportPublicKey(_anchorKey), Now, Now.AddHours(1)).Sign(Anchor, _anchorKey);
        Assert.False(Sign(leaf, _anchorKey, Request(null), out _, out problem));
        Assert.Contains("not the anchor", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_list_outlives_what_it_revokes_by_a_day_and_keeps_what_was_revoked_before()
    {
        var root = Anchor;
        Assert.True(Sign(root, _anchorKey, Request(null), out var first, out _));
        Assert.True(Sign(root, _anchorKey, Request(null), out var second, out _));
        Assert.True(OfflineRoot.TryRevoke(root, _anchorKey, [first!], previous: null, Now, out var list, out var problem), problem);
        Assert.Equal([first!.SerialHex], list.Revoked.Keys);
        Assert.Equal(first.NotAfter.AddDays(1), list.NextUpdate);
        Assert.True(list.IsSignedBy(root));

        Assert.True(OfflineRoot.TryRevoke(root, _anchorKey, [second!], list, Now.AddDays(3), out var next, out problem), problem);
        Assert.Equal(new[] { first.SerialHex, second!.SerialHex }.Order(), next.Revoked.Keys.Order());
        Assert.Equal(list.Revoked[first.SerialHex], next.Revoked[first.SerialHex]);
        Assert.Equal(list.NextUpdate, next.NextUpdate);
        Assert.True(string.CompareOrdinal(next.NumberHex, list.NumberHex) > 0);
    }

    [Fact]
    public void Only_what_the_anchor_signed_can_be_revoked_and_only_with_its_key()
    {
        var root = Anchor;
        Assert.True(Sign(root, _anchorKey, Request(null), out var issuing, out _));
        using var otherKey = KeyPair.Generate(KeyType.EcP256);
        var other = OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), otherKey, TimeSpan.FromDays(9), Now);
        Refused("not that of", root, otherKey, issuing!);
        Refused("was not signed by", other, otherKey, issuing!);
        Refused("can't revoke itself", root, _anchorKey, root);

        static void Refused(string because, Certificate anchor, AsymmetricAlgorithm key, Certificate revoked)
        {
            Assert.False(OfflineRoot.TryRevoke(anchor, key, [revoked], null, Now, out _, out var problem));
            Assert.Contains(because, problem, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.Rsa2048)]
    public void A_key_under_a_passphrase_opens_with_it_and_with_no_other(KeyType type)
    {
        using var key = KeyPair.Generate(type);
        var text = Pem.EncodePrivateKey(key, "correct horse");
        Assert.Contains("ENCRYPTED", text, StringComparison.Ordinal);
        Assert.True(Pem.TryReadPrivateKey(text, "correct horse", out var read, out var problem), problem);
        Assert.Equal(KeyPair.ExportPublicKey(key), KeyPair.ExportPublicKey(read));
        Assert.False(Pem.TryReadPrivateKey(text, "wrong", out _, out problem));
        Assert.Contains("passphrase", problem, StringComparison.Ordinal);
        Assert.False(Pem.TryReadPrivateKey(text, out read, out problem));
        Assert.Contains("encrypted", problem, StringComparison.Ordinal);
        Assert.False(Pem.TryReadPrivateKey(Pem.EncodePrivateKey(key), "correct horse", out _, out _));
    }

    private static bool Sign(Certificate anchor, AsymmetricAlgorithm anchorKey, SigningRequest request, out Certificate? issuing, out string problem) =>
        OfflineRoot.TrySign(anchor, anchorKey, request, new CertificateSubject(), TimeSpan.FromDays(30), Now, out issuing, out problem);

    private SigningRequest Request(SpiffeId? id, params string[] dnsNames) =>
        SigningRequest.TryParse(SigningRequest.Create(_key, id, dnsNames), out var request, out var problem) ? request : throw new InvalidOperationException(problem);
}
