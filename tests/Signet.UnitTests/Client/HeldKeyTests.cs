using System.Security.Cryptography;
using Signet.Client;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Client;

/// <summary>Keys that an OpenSSL provider or engine holds. The provider here is OpenSSL's own, whose store reads files.</summary>
public sealed class HeldKeyTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly TestAuthority _authority = new(DateTimeOffset.UtcNow);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.EcP384)]
    [InlineData(KeyType.Rsa2048)]
    public void An_identitys_key_may_be_named_instead_of_written_down(KeyType keyType)
    {
        var svid = _authority.Svid("/ns/default/sa/web", keyType: keyType);

        Assert.True(X509Files.TryRead(Pem.Encode(svid.Chain), Held(svid), _authority.Bundle.ToPem(), out var context, out var problem), problem);

        Assert.True(context.Default.Key is ECDsaOpenSsl or RSAOpenSsl);
        Assert.Equal(KeyPair.ExportPublicKey(svid.Key).ToArray(), KeyPair.ExportPublicKey(context.Default.Key).ToArray());
    }

    [Fact]
    public void A_held_key_must_be_that_of_the_certificate_too()
    {
        var (svid, other) = (_authority.Svid("/ns/default/sa/web"), _authority.Svid("/ns/default/sa/web"));
        Assert.False(X509Files.TryRead(Pem.Encode(svid.Chain), Held(other), _authority.Bundle.ToPem(), out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Theory]
    [InlineData("provider:", "write provider:NAME:URI")]
    [InlineData("provider:default", "write provider:NAME:URI")]
    [InlineData("provider::file:/key.pem", "write provider:NAME:URI")]
    [InlineData("engine:pkcs11:", "write provider:NAME:URI")]
    [InlineData("provider:default:file:/nowhere/key.pem", "the provider \"default\" does not give the key \"file:/nowhere/key.pem\"")]
    [InlineData("provider:nobody:object", "the provider \"nobody\" does not give the key \"object\"")]
    [InlineData("engine:nobody:object", "the engine \"nobody\" does not give the key \"object\"")]
    public void What_names_no_key_is_refused_with_the_next_step(string text, string expected)
    {
        Assert.True(HeldKey.IsNamedIn(text));
        Assert.False(HeldKey.TryOpen(text, out _, out var problem));
        Assert.Contains(expected, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_written_key_is_not_taken_for_a_name() => Assert.False(HeldKey.IsNamedIn(Pem.EncodePrivateKey(_authority.Svid("/a").Key)));

    private string Held(X509Svid svid)
    {
        var path = _folder.File($"{Guid.NewGuid():N}.pem");
        File.WriteAllText(path, Pem.EncodePrivateKey(svid.Key));
        return $"provider:default:file:{path}\n";
    }
}
