using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class SvidVerifierTests
{
    private readonly TestPki _pki = TestPki.Shared;

    [Fact]
    public void Trusts_a_workload_of_a_known_trust_domain()
    {
        var verdict = SvidVerifier.Verify([_pki.Leaf, _pki.Issuing], TrustBundles.Of(_pki.Bundle), CertificateUsage.Client, TestPki.Now);

        Assert.True(verdict.IsTrusted, verdict.Reason);
        Assert.Equal(TestPki.Orders, verdict.Id);
        Assert.Equal(TestPki.Now.AddHours(1), verdict.ExpiresAt);
        Assert.Equal([_pki.Leaf, _pki.Issuing, _pki.Root], verdict.Path);
    }

    [Fact]
    public void Makes_an_svid_of_a_chain_and_its_key()
    {
        Assert.True(X509Svid.TryCreate([_pki.Leaf, _pki.Issuing, _pki.Root], _pki.LeafKey, "web", out var svid, out var problem), problem);
        Assert.Equal([_pki.Leaf, _pki.Issuing], svid.Chain);
        Assert.True(KeyPair.TryImportPkcs8(svid.ExportKeyPkcs8(), out _, out problem), problem);
        Assert.True(X509Bundle.TryReadSpiffeJson(TestPki.Domain, _pki.Bundle.ToSpiffeJson(), out var bundle, out problem), problem);
        Assert.Equal(_pki.Bundle, bundle);
        Assert.True(SigningRequest.TryParse(SigningRequest.Create(_pki.LeafKey, TestPki.Orders), out var request, out problem), problem);
        Assert.Equal([TestPki.Orders.Uri], request.UriNames);
        Assert.True(Pem.TryReadPrivateKey(Pem.EncodePrivateKey(_pki.LeafKey), out _, out problem), problem);
    }
}
