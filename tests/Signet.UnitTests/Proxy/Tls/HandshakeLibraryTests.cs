using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Signet.Identity.X509;
using Signet.Proxy.Native;
using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Tls;

/// <summary>The library context of handshakes, where this host's OpenSSL needs one.</summary>
public sealed unsafe partial class HandshakeLibraryTests
{
    [Fact]
    public void Is_OpenSSLs_own_from_3_2_on_and_another_before() =>
        Assert.Equal(SafeEvpPKeyHandle.OpenSslVersion >= 0x30200000, HandshakeLibrary.Handle == 0);

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.EcP384)]
    [InlineData(KeyType.Rsa2048)]
    [InlineData(KeyType.Rsa4096)]
    [InlineData(KeyType.Ed25519)]
    public void Reads_the_public_key_of_every_kind_of_certificate(KeyType type)
    {
        var leaf = new TestAuthority(DateTimeOffset.UtcNow).Svid("/ns/default/sa/web", keyType: type).Leaf;
        var certificate = NewCertificate(HandshakeLibrary.Handle, null);
        fixed (byte* der = leaf.Der.Span)
        {
            var cursor = der;
            Assert.NotEqual(0, LibSsl.ReadCertificate(&certificate, &cursor, leaf.Der.Length));
        }

        Assert.NotEqual(0, PublicKey(certificate));
        LibSsl.FreeCertificate(certificate);
    }

    [LibraryImport(LibSsl.Crypto, EntryPoint = "X509_new_ex")]
    private static partial nint NewCertificate(nint library, byte* properties);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "X509_get0_pubkey")]
    private static partial nint PublicKey(nint certificate);
}
