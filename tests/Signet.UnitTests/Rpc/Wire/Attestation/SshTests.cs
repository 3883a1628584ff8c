using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Attestation.Ssh;

namespace Signet.UnitTests.Rpc.Wire.Attestation;

/// <summary>Whatever a stranger sends in OpenSSH's forms.</summary>
public sealed class SshTests
{
    // ssh-keygen -t ed25519; ssh-keygen -s ca -I key-1 -h -n host.example.org
    private const string Authority = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFgCLBYaYFF6Sjgpd6cfVIBfTuy8PFaE3vFnaEa32qqx ca";
    private const string Certificate = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIGJoyE4CgHJgBlBrKu4m+jQ94Q4PSTFC0xqxOoYICHO6AAAAIOdBgpE/ZIScyH4r5bGjE24CcIK4xChcKMqsIH/iPNspAAAAAAAAAAcAAAACAAAABWtleS0xAAAAHQAAABBob3N0LmV4YW1wbGUub3JnAAAABW90aGVyAAAAAGlVuQAAAAAAazbsgAAAAAAAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgWAIsFhpgUXpKOCl3px9UgF9O7Lw8VoTe8WdoRrfaqrEAAABTAAAAC3NzaC1lZDI1NTE5AAAAQDOwxBV7h5L70xKCYl+6u3fp+iLpeY97qMC+QQwUKtbi7vDWv4cNCTl+InOs8niEp5nH5B85obMD7/WLLgKY+As= host";

    [Fact]
    public void A_certificate_is_read_whole()
    {
        var certificate = Read();
        Assert.Equal(("key-1", 7ul, true), (certificate.KeyId, certificate.Serial, certificate.IsOfHost));
        Assert.Equal(["host.example.org", "other"], certificate.Principals);
        Assert.Empty(certificate.CriticalOptions);
        Assert.True(SshPublicKey.TryParse(Authority, out var authority, out var problem), problem);
        Assert.Equal("", certificate.Problem([authority], DateTimeOffset.FromUnixTimeSeconds((long)certificate.ValidAfter + 1)));
        Assert.Contains("not one that is believed", certificate.Problem([], DateTimeOffset.FromUnixTimeSeconds((long)certificate.ValidAfter + 1)));
        Assert.Contains("it is valid from", certificate.Problem([authority], DateTimeOffset.FromUnixTimeSeconds((long)certificate.ValidBefore)));
        Assert.Contains("it is valid from", certificate.Problem([authority], DateTimeOffset.FromUnixTimeSeconds((long)certificate.ValidAfter - 1)));
    }

    [Fact]
    public void A_certificate_that_was_changed_anywhere_is_not_believed()
    {
        var certificate = Read();
        Assert.True(SshPublicKey.TryParse(Authority, out var authority, out _));
        var now = DateTimeOffset.FromUnixTimeSeconds((long)certificate.ValidAfter + 1);
        for (var at = 0; at < certificate.Encoded.Length; at++)
        {
            var changed = certificate.Encoded.ToArray();
            changed[at] ^= 0x10;
            Assert.False(SshCertificate.TryRead(changed, out var read, out var problem) && read.Problem([authority], now).Length == 0, $"byte {at}");
            Assert.True(read is not null || problem.Length > 0);
        }

        for (var length = 0; length < certificate.Encoded.Length; length++)
        {
            Assert.False(SshCertificate.TryRead(certificate.Encoded[..length], out _, out _));
        }

        Assert.False(SshCertificate.TryRead((byte[])[.. certificate.Encoded.Span, 0], out _, out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ssh-ed25519")]
    [InlineData("ssh-ed25519 ????")]
    [InlineData("ssh-ed25519 AAAA")]
    [InlineData("ssh-dss AAAAB3NzaC1kc3M=")]
    public void What_is_no_key_is_none(string line)
    {
        Assert.False(SshPublicKey.TryParse(line, out var key, out var problem));
        Assert.Null(key);
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void Messages_are_read_as_they_are_written_and_nothing_else_is()
    {
        Assert.True(SshPopWire.TryReadCertificate(SshPopWire.EncodeCertificate(new byte[] { 1 }), out var certificate, out _));
        Assert.Equal([1], certificate);
        var nonce = new byte[32];
        Assert.True(SshPopWire.TryReadChallenge(SshPopWire.EncodeChallenge(nonce), out var read, out _));
        Assert.Equal(nonce, read);
        Assert.True(SshPopWire.TryReadAnswer(SshPopWire.EncodeAnswer(nonce, "ssh-ed25519", [2]), out var own, out var format, out var signature, out _));
        Assert.Equal("ssh-ed25519", format);
        Assert.Equal([.. nonce, 2], [.. own, .. signature]);
        Assert.False(SshPopWire.TryReadChallenge(SshPopWire.EncodeChallenge(new byte[31]), out _, out _));
        Assert.False(SshPopWire.TryReadAnswer(SshPopWire.EncodeAnswer(nonce, "", [2]), out _, out _, out _, out _));
        Assert.False(SshPopWire.TryReadAnswer(SshPopWire.EncodeAnswer(nonce, "x", new byte[SshPopWire.MaxSignatureLength + 1]), out _, out _, out _, out _));
        Assert.False(SshPopWire.TryReadCertificate(SshPopWire.EncodeCertificate(new byte[SshCertificate.MaxLength + 1]), out _, out _));
    }

    private static SshCertificate Read()
    {
        Assert.True(SshCertificate.TryParse(Certificate, out var certificate, out var problem), problem);
        return certificate;
    }
}
