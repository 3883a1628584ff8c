using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.Jose;

/// <summary>JWT-SVID §2.1: all nine algorithms, signed and verified.</summary>
public sealed class JwsAlgorithmTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/web");
    private static readonly Dictionary<KeyType, AsymmetricAlgorithm> Keys =
        new[] { KeyType.EcP256, KeyType.EcP384, KeyType.EcP521, KeyType.Rsa2048 }.ToDictionary(type => type, KeyPair.Generate);

    [Theory]
    [InlineData("ES256", KeyType.EcP256)]
    [InlineData("ES384", KeyType.EcP384)]
    [InlineData("ES512", KeyType.EcP521)]
    [InlineData("RS256", KeyType.Rsa2048)]
    [InlineData("RS384", KeyType.Rsa2048)]
    [InlineData("RS512", KeyType.Rsa2048)]
    [InlineData("PS256", KeyType.Rsa2048)]
    [InlineData("PS384", KeyType.Rsa2048)]
    [InlineData("PS512", KeyType.Rsa2048)]
    public void A_token_is_signed_as_wished_and_verifies_as_that_and_as_nothing_else(string name, KeyType keyType)
    {
        var algorithm = JwsAlgorithm.Find(name)!;
        Assert.Equal(keyType, algorithm.KeyType(KeyType.EcP256));
        var token = JwtSvid.Sign(Web, ["billing"], Now, Now.AddMinutes(5), "k", Keys[keyType], issuer: null, algorithm);

        Assert.True(CompactJws.TryParse(token, out var jws, out var problem), problem);
        using var parsed = jws;
        Assert.Equal(name, jws.HeaderText("alg"));
        Assert.Equal(Web, JwtSvidVerifier.Verify(token, _ => BundleOf(keyType), "billing", Now).Id);
        Assert.True(JwsKey.TryCreate(KeyPair.ExportPublicKey(Keys[keyType]), "k", null, out var key, out problem), problem);
        Assert.Equal([name], JwsAlgorithm.Names.Where(other => key.Verifies(other, jws.Signed, jws.Signature)));
        Assert.All(Keys.Keys.Where(other => other != keyType), other => Assert.False(JwtSvidVerifier.Verify(token, _ => BundleOf(other), "billing", Now).IsTrusted));
    }

    [Theory]
    [InlineData("PS256", KeyType.EcP256, "ES256")]
    [InlineData("ES256", KeyType.EcP384, "ES384")]
    [InlineData("ES512", KeyType.Rsa2048, "RS256")]
    public void A_key_that_does_not_go_with_the_wish_signs_as_it_can(string wished, KeyType keyType, string name)
    {
        var token = JwtSvid.Sign(Web, ["billing"], Now, Now.AddMinutes(5), "k", Keys[keyType], issuer: null, JwsAlgorithm.Find(wished));

        Assert.True(CompactJws.TryParse(token, out var jws, out _));
        using var parsed = jws;
        Assert.Equal(name, jws.HeaderText("alg"));
    }

    [Fact]
    public void Readers_outside_SPIFFE_are_told_the_algorithm_that_is_used()
    {
        Assert.Equal("PS384", Algorithm(BundleOf(KeyType.Rsa2048), "PS384"));
        Assert.Equal("RS256", Algorithm(BundleOf(KeyType.Rsa2048), null));
        Assert.Equal("ES512", Algorithm(BundleOf(KeyType.EcP521), "PS384"));
    }

    [Theory]
    [InlineData("none")]
    [InlineData("HS256")]
    [InlineData("EdDSA")]
    [InlineData("es256")]
    [InlineData("")]
    [InlineData(null)]
    public void There_are_no_others(string? name)
    {
        Assert.Null(JwsAlgorithm.Find(name));
        Assert.Equal(9, JwsAlgorithm.Names.Count);
    }

    [Fact]
    public void RSA_keys_of_either_size_do()
    {
        Assert.Equal(KeyType.Rsa4096, JwsAlgorithm.Find("PS256")!.KeyType(KeyType.Rsa4096));
        Assert.Equal(KeyType.EcP256, JwsAlgorithm.Find("ES256")!.KeyType(KeyType.Rsa4096));
    }

    private static string? Algorithm(JwtBundle bundle, string? wished) => JsonNode.Parse(bundle.ToWebJson(JwsAlgorithm.Find(wished)))!["keys"]![0]!["alg"]!.GetValue<string>();

    private static JwtBundle BundleOf(KeyType keyType)
    {
        Assert.True(JwtAuthority.TryCreate("k", KeyPair.ExportPublicKey(Keys[keyType]), null, out var authority, out var problem), problem);
        Assert.True(JwtBundle.TryCreate(Domain, [authority], out var bundle, out problem), problem);
        return bundle;
    }
}
