using System.Security.Cryptography;
using Signet.Agent.Sds;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.InteropTests.X509;
using Signet.Testing;

namespace Signet.InteropTests.Agent;

/// <summary>
/// What proxies are given of revocation lists, before OpenSSL with the two flags that Envoy sets once it has a list (CRL_CHECK, CRL_CHECK_ALL): what covers
/// every issuer lets good peers in and keeps the revoked out; less would refuse everybody, which is why it is not given.
/// </summary>
public sealed class ProxyRevocationTests : IDisposable
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");

    private readonly TestFolder _folder = new();
    private readonly DateTimeOffset _now = DateTimeOffset.UtcNow;
    private readonly AsymmetricAlgorithm _anchorKey = KeyPair.Generate(KeyType.EcP256);
    private readonly AsymmetricAlgorithm _issuingKey = KeyPair.Generate(KeyType.EcP256);
    private readonly Certificate _anchor;
    private readonly Certificate _issuing;

    public ProxyRevocationTests()
    {
        _anchor = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(_anchorKey), _now.AddDays(-9), _now.AddDays(9), "anchor").SignSelf(_anchorKey);
        _issuing = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(_issuingKey), _now.AddDays(-9), _now.AddDays(9), "issuing", pathLength: 0).Sign(_anchor, _anchorKey);
    }

    [Fact]
    public async Task Lists_of_every_issuer_work_with_Envoys_check_and_fewer_are_not_given()
    {
        var (good, bad) = (Svid("/good"), Svid("/bad"));
        var byAnchor = CertificateRevocationList.Sign(_anchor, _anchorKey, _now.AddHours(-1), _now.AddDays(1), 1, Array.Empty<Certificate>());
        var byIssuing = CertificateRevocationList.Sign(_issuing, _issuingKey, _now.AddHours(-1), _now.AddDays(1), 1, [bad.Leaf]);
        var bundle = X509Bundle.Create(Domain, [_anchor]);

        var given = RevocationCoverage.Of(bundle, [byAnchor, byIssuing], [good], _now);
        Assert.True(await IsTrustedAsync(good, given));
        Assert.False(await IsTrustedAsync(bad, given));

        Assert.False(await IsTrustedAsync(good, [byAnchor]), "with one list alone everybody is refused");
        Assert.Empty(RevocationCoverage.Of(bundle, [byAnchor], [good], _now));
    }

    public void Dispose() => _folder.Dispose();

    private X509Svid Svid(string path)
    {
        var key = KeyPair.Generate(KeyType.EcP256);
        var leaf = CertificateTemplate.Leaf(SpiffeId.Of(Domain, path), KeyPair.ExportPublicKey(key), _now.AddHours(-1), _now.AddHours(1)).Sign(_issuing, _issuingKey);
        return X509Svid.TryCreate([leaf, _issuing], key, hint: null, out var svid, out var problem) ? svid : throw new InvalidOperationException(problem);
    }

    private async Task<bool> IsTrustedAsync(X509Svid svid, IEnumerable<CertificateRevocationList> lists)
    {
        await File.WriteAllTextAsync(_folder.File("roots.pem"), Pem.Encode([_anchor]));
        await File.WriteAllTextAsync(_folder.File("chain.pem"), Pem.Encode([_issuing]));
        await File.WriteAllTextAsync(_folder.File("leaf.pem"), Pem.Encode([svid.Leaf]));
        await File.WriteAllTextAsync(_folder.File("crl.pem"), string.Concat(lists.Select(list => list.ToPem())));
        return (await OpenSsl.RunAsync(
            "verify", "-crl_check_all", "-CAfile", _folder.File("roots.pem"), "-untrusted", _folder.File("chain.pem"), "-CRLfile", _folder.File("crl.pem"), _folder.File("leaf.pem"))).IsDone;
    }
}
