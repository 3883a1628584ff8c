using System.Security.Cryptography;
using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Attestation.Tpm;

namespace Signet.UnitTests.Rpc.Wire.Attestation;

/// <summary>Whatever a stranger sends in a TPM's forms.</summary>
public sealed class TpmTests
{
    private static readonly RSA Key = RSA.Create(2048);
    private static readonly ECDsa Ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    [Fact]
    public void Keys_are_read_with_and_without_their_length_before_them()
    {
        var encoded = EncodeRsa();
        Assert.True(TpmPublic.TryRead(encoded, out var key, out var problem), problem);
        Assert.Equal(Key.ExportSubjectPublicKeyInfo(), key.SubjectPublicKeyInfo.ToArray());
        Assert.Equal([0, 0x0B, .. SHA256.HashData(encoded)], key.Name);
        Assert.True(key.Has(TpmWords.Sign | TpmWords.FixedTpm));
        Assert.False(key.Has(TpmWords.Sign | TpmWords.Restricted));
        Assert.True(TpmPublic.TryRead(new TpmWriter().Sized(encoded).ToArray(), out var sized, out problem), problem);
        Assert.Equal(key.Name, sized.Name);

        Assert.True(TpmPublic.TryRead(EncodeEc(), out key, out problem), problem);
        Assert.Equal(Ec.ExportSubjectPublicKeyInfo(), key.SubjectPublicKeyInfo.ToArray());
    }

    [Fact]
    public void What_is_cut_off_changed_or_longer_breaks_nothing()
    {
        var random = new Random(5);
        foreach (var encoded in new[] { EncodeRsa(), EncodeEc() })
        {
            for (var length = 0; length < encoded.Length; length++)
            {
                Assert.False(TpmPublic.TryRead(encoded.AsMemory(0, length), out _, out var problem));
                Assert.NotEmpty(problem);
            }

            Assert.False(TpmPublic.TryRead((byte[])[.. encoded, 0], out _, out _));
            for (var round = 0; round < 2000; round++)
            {
                var changed = encoded.ToArray();
                changed[random.Next(40)] = (byte)random.Next(256);
                Assert.True(TpmPublic.TryRead(changed, out var key, out var problem) ? key.Name.Length > 0 : problem.Length > 0);
            }
        }

        Assert.False(TpmPublic.TryRead(new byte[TpmPublic.MaxLength + 1], out _, out _));
    }

    [Theory]
    [InlineData(1024)]
    [InlineData(8192)]
    public void A_key_that_is_too_weak_or_too_costly_is_none(int bits) => Assert.False(TpmPublic.TryRead(
        new TpmWriter().Short(TpmWords.Rsa).Short(TpmWords.Sha256).Long(0).Sized([]).Short(TpmWords.Null).Short(TpmWords.Null).Short((ushort)bits).Long(0).Sized([1, .. new byte[(bits / 8) - 1]]).ToArray(), out _, out _));

    [Fact]
    public void Messages_are_read_as_they_are_written_and_nothing_else_is()
    {
        var shown = new TpmDevIdWire([[1], [2]], [3], [4], [5], [6], [7], [8]);
        Assert.True(TpmDevIdWire.TryRead(shown.Encode(), out var read, out var problem), problem);
        Assert.Equal([.. shown.DevIdCertificates.SelectMany(bytes => bytes), .. shown.CertifiedSignature], [.. read.DevIdCertificates.SelectMany(bytes => bytes), .. read.CertifiedSignature]);
        Assert.True(TpmDevIdWire.TryReadChallenge(TpmDevIdWire.EncodeChallenge(new byte[32], [1], [2]), out _, out var credential, out var secret, out problem), problem);
        Assert.Equal([1, 2], [.. credential, .. secret]);
        Assert.True(TpmDevIdWire.TryReadAnswer(TpmDevIdWire.EncodeAnswer([1], [2]), out var signature, out var opened, out problem), problem);
        Assert.Equal([1, 2], [.. signature, .. opened]);

        Assert.False(TpmDevIdWire.TryRead((shown with { DevIdCertificates = [] }).Encode(), out _, out _));
        Assert.False(TpmDevIdWire.TryRead((shown with { DevIdCertificates = [.. Enumerable.Repeat(new byte[1], 6)] }).Encode(), out _, out _));
        Assert.False(TpmDevIdWire.TryRead((shown with { AttestationPublic = new byte[TpmDevIdWire.MaxPartLength + 1] }).Encode(), out _, out problem));
        Assert.Contains("AKPub", problem);
        Assert.False(TpmDevIdWire.TryReadChallenge(TpmDevIdWire.EncodeChallenge(new byte[31], [1], [2]), out _, out _, out _, out _));
        Assert.False(TpmDevIdWire.TryReadAnswer(TpmDevIdWire.EncodeAnswer([], [2]), out _, out _, out _));
    }

    private static byte[] EncodeRsa() => new TpmWriter().Short(TpmWords.Rsa).Short(TpmWords.Sha256).Long(TpmWords.Sign | TpmWords.FixedTpm).Sized([])
        .Short(TpmWords.Null).Short(TpmWords.RsaSsa).Short(TpmWords.Sha256).Short(2048).Long(0).Sized(Key.ExportParameters(includePrivateParameters: false).Modulus).ToArray();

    private static byte[] EncodeEc()
    {
        var q = Ec.ExportParameters(includePrivateParameters: false).Q;
        return new TpmWriter().Short(TpmWords.Ecc).Short(TpmWords.Sha256).Long(TpmWords.Sign).Sized([]).Short(TpmWords.Null).Short(TpmWords.Ecdsa).Short(TpmWords.Sha256).Short(TpmWords.P256).Short(TpmWords.Null).Sized(q.X).Sized(q.Y).ToArray();
    }
}
