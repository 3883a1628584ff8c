using System.Security.Cryptography;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Attestation.Ssh;

namespace Signet.Agent.Attestation;

/// <summary>Shows the certificate that OpenSSH has for this host, and proves to have its key. The files are read anew at each attestation.</summary>
internal sealed class SshPopAttestor(AttestorConfig.SshPop config) : INodeAttestor
{
    public string Type => SshPopWire.Type;

    public Task<INodeAttestation> BeginAsync(CancellationToken cancellationToken)
    {
        if (!SshCertificate.TryParse(Read(config.Certificate).Trim(), out var certificate, out var problem))
        {
            throw new AttestationException($"{config.Certificate}: {problem}");
        }

        if (!SshPrivateKey.TryRead(Read(config.Key), out var key, out problem))
        {
            throw new AttestationException($"{config.Key}: {problem}");
        }

        var attestation = new Attestation(certificate, key);
        if (!attestation.Fits())
        {
            key.Dispose();
            throw new AttestationException($"the key in {config.Key} is not that of the certificate in {config.Certificate}");
        }

        return Task.FromResult<INodeAttestation>(attestation);
    }

    private static string Read(string path)
    {
        try
        {
            return FileSet.Of(path).Read()[0].Text;
        }
        catch (PlaceException e)
        {
            throw new AttestationException(e.Message);
        }
    }

    private sealed class Attestation(SshCertificate certificate, AsymmetricAlgorithm key) : INodeAttestation
    {
        public ReadOnlyMemory<byte> Payload { get; } = SshPopWire.EncodeCertificate(certificate.Encoded);

        /// <summary>Whether the key is that of the certificate: the surest way is to use both.</summary>
        public bool Fits()
        {
            var probe = RandomNumberGenerator.GetBytes(SshPopWire.NonceLength);
            var (format, signature) = SshPrivateKey.Sign(key, probe);
            return certificate.Key.Verifies(probe, format, signature, withSha1: false);
        }

        public Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken)
        {
            if (!SshPopWire.TryReadChallenge(challenge, out var nonce, out var problem))
            {
                throw AttestationException.BadChallenge(problem);
            }

            var own = RandomNumberGenerator.GetBytes(SshPopWire.NonceLength);
            var (format, signature) = SshPrivateKey.Sign(key, SshPopWire.ToBeSigned(nonce, own));
            return Task.FromResult<ReadOnlyMemory<byte>>(SshPopWire.EncodeAnswer(own, format, signature));
        }

        public ValueTask DisposeAsync()
        {
            key.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
