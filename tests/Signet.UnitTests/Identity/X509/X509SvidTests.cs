using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class X509SvidTests
{
    private readonly TestPki _pki = TestPki.Shared;

    [Fact]
    public void Holds_chain_key_and_hint_and_leaves_the_root_out()
    {
        Assert.True(X509Svid.TryCreate([_pki.Leaf, _pki.Issuing, _pki.Root], _pki.LeafKey, "web", out var svid, out var problem), problem);
        Assert.Equal(TestPki.Orders, svid.Id);
        Assert.Equal([_pki.Leaf, _pki.Issuing], svid.Chain);
        Assert.Equal("web", svid.Hint);
        Assert.Equal(_pki.Leaf.NotAfter, svid.NotAfter);
        Assert.True(KeyPair.TryImportPkcs8(svid.ExportKeyPkcs8(), out var key, out problem), problem);
        Assert.Equal(_pki.Leaf.SubjectPublicKeyInfo.ToArray(), KeyPair.ExportPublicKey(key));
    }

    [Fact]
    public void Ends_when_an_intermediate_ends()
    {
        var issuing = (CertificateTemplate.Authority(TestPki.Domain, _pki.Issuing.SubjectPublicKeyInfo, TestPki.Now, TestPki.Now.AddMinutes(5), "issuing") with { Subject = _pki.Issuing.SubjectName })
            .Sign(_pki.Root, _pki.RootKey);

        Assert.True(X509Svid.TryCreate([_pki.Leaf, issuing], _pki.LeafKey, null, out var svid, out var problem), problem);
        Assert.Equal(TestPki.Now.AddMinutes(5), svid.NotAfter);
    }

    [Fact]
    public void Refuses_what_does_not_fit_together()
    {
        Refuses([], "the chain has 0 certificates");
        Refuses([.. Enumerable.Repeat(_pki.Leaf, 17)], "the chain has 17 certificates");
        Refuses([_pki.Issuing, _pki.Root], "is not an X509-SVID");
        Refuses([_pki.Leaf, _pki.Root], "was not issued by the next certificate");
        Refuses([_pki.Leaf, _pki.Leaf], "is not a signing certificate");
        Assert.False(X509Svid.TryCreate([_pki.Leaf, _pki.Issuing], _pki.RootKey, null, out _, out var problem));
        Assert.Contains("private key does not belong", problem);
    }

    [Fact]
    public void Never_shows_its_key()
    {
        Assert.True(X509Svid.TryCreate([_pki.Leaf, _pki.Issuing], _pki.LeafKey, null, out var svid, out _));
        Assert.Equal($"spiffe://example.org/orders (serial {_pki.Leaf.SerialHex}, until 2026-11-26T13:00:00Z)", svid.ToString());
    }

    private void Refuses(Certificate[] chain, string why)
    {
        Assert.False(X509Svid.TryCreate(chain, _pki.LeafKey, null, out var svid, out var problem));
        Assert.Null(svid);
        Assert.Contains(why, problem);
    }
}
