using System.Security.Cryptography;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.X509;

/// <summary>A root, an issuing authority below it and a leaf, made once: most tests look at one and change one thing.</summary>
internal sealed class TestPki
{
    public static readonly DateTimeOffset Now = new(2026, 11, 26, 12, 0, 0, TimeSpan.Zero);
    public static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    public static readonly SpiffeId Orders = SpiffeId.Parse("spiffe://example.org/orders");

    public TestPki()
    {
        Root = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(RootKey), Now.AddDays(-1), Now.AddDays(365), "root").SignSelf(RootKey);
        Issuing = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(IssuingKey), Now.AddDays(-1), Now.AddDays(30), "issuing", 0).Sign(Root, RootKey);
        Leaf = LeafTemplate().Sign(Issuing, IssuingKey);
    }

    public static TestPki Shared { get; } = new();

    public AsymmetricAlgorithm RootKey { get; } = KeyPair.Generate(KeyType.EcP256);

    public AsymmetricAlgorithm IssuingKey { get; } = KeyPair.Generate(KeyType.EcP256);

    public AsymmetricAlgorithm LeafKey { get; } = KeyPair.Generate(KeyType.EcP256);

    public Certificate Root { get; }

    public Certificate Issuing { get; }

    public Certificate Leaf { get; }

    public X509Bundle Bundle => X509Bundle.Create(Domain, [Root]);

    public CertificateTemplate LeafTemplate(SpiffeId? id = null) =>
        CertificateTemplate.Leaf(id ?? Orders, KeyPair.ExportPublicKey(LeafKey), Now.AddMinutes(-1), Now.AddHours(1));
}
