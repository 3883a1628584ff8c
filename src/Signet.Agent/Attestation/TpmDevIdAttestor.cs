using Signet.Agent.Attestation.Tpm;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Agent.Attestation;

/// <summary>Shows that this device's identity lies in its TPM. The files are read, and the keys loaded, anew at each attestation.</summary>
internal sealed class TpmDevIdAttestor(AttestorConfig.TpmDevId config) : INodeAttestor
{
    private const int MaxBlobLength = 4096;

    public string Type => TpmDevIdWire.Type;

    // TPMs take their time.
    public Task<INodeAttestation> BeginAsync(CancellationToken cancellationToken) => Task.Run<INodeAttestation>(Begin, cancellationToken);

    private Attestation Begin()
    {
        var chain = ReadCertificates();
        var device = TpmDevice.Open(config.Device, ReadBlob(config.PublicKey), ReadBlob(config.PrivateKey), TpmDevice.Passwords.Of(config.OwnerPassword, config.EndorsementPassword, config.KeyPassword));
        try
        {
            if (!device.DevId.SubjectPublicKeyInfo.Span.SequenceEqual(chain[0].SubjectPublicKeyInfo.Span))
            {
                throw new AttestationException($"the key in {config.PublicKey} is not that of the first certificate in {config.Certificate}");
            }

            var (statement, signature) = device.CertifyDevId();
            return new Attestation(
                device,
                new TpmDevIdWire(
                    [.. chain.Select(certificate => certificate.Der.ToArray())],
                    device.DevId.Encoded.ToArray(),
                    device.ReadEndorsementCertificate(),
                    device.EndorsementPublic,
                    device.AttestationPublic,
                    statement,
                    signature).Encode());
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    private IReadOnlyList<Certificate> ReadCertificates()
    {
        try
        {
            return !Pem.TryReadCertificates(FileSet.Of(config.Certificate).Read()[0].Text, out var certificates, out var problem) ? throw new AttestationException($"{config.Certificate}: {problem}")
                : certificates.Count <= TpmDevIdWire.MaxCertificates ? certificates
                : throw new AttestationException($"{config.Certificate} holds {certificates.Count} certificates; a server takes {TpmDevIdWire.MaxCertificates}");
        }
        catch (PlaceException e)
        {
            throw new AttestationException(e.Message);
        }
    }

    private static byte[] ReadBlob(string path)
    {
        try
        {
            return new FileInfo(path).Length is > 0 and <= MaxBlobLength ? File.ReadAllBytes(path) : throw new AttestationException($"{path} is not a key of a TPM, which is 1 to {MaxBlobLength} bytes long");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new AttestationException($"{path} cannot be read: {e.Message}");
        }
    }

    private sealed class Attestation(TpmDevice device, byte[] payload) : INodeAttestation
    {
        public ReadOnlyMemory<byte> Payload => payload;

        public Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken) =>
            !TpmDevIdWire.TryReadChallenge(challenge, out var nonce, out var credential, out var secret, out var problem)
                ? throw AttestationException.BadChallenge(problem)
                : Task.Run<ReadOnlyMemory<byte>>(() => TpmDevIdWire.EncodeAnswer(device.Sign(nonce), device.Activate(credential, secret)), cancellationToken);

        public ValueTask DisposeAsync()
        {
            device.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
