using System.Security.Cryptography;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Agent.Attestation;

/// <summary>Shows a certificate that this node was given, and proves to have its key. The files are read anew at each attestation.</summary>
internal sealed class X509PopAttestor(AttestorConfig.X509Pop config) : INodeAttestor
{
    public string Type => X509PopWire.Type;

    public Task<INodeAttestation> BeginAsync(CancellationToken cancellationToken)
    {
        var chain = ReadCertificates(config.Certificate);
        if (config.Intermediates is { } more)
        {
            chain = [.. chain, .. ReadCertificates(more)];
        }

        if (chain.Count > X509PopWire.MaxCertificates)
        {
            throw new AttestationException($"{config.Certificate} and its intermediates are {chain.Count} certificates; a server takes {X509PopWire.MaxCertificates}");
        }

        if (!Pem.TryReadPrivateKey(Read(config.Key), out var key, out var problem))
        {
            throw new AttestationException($"{config.Key}: {problem}");
        }

        if (key is not (RSA or ECDsa))
        {
            key.Dispose();
            throw new AttestationException($"the key in {config.Key} is an Ed25519 key; {Type} is for RSA and EC keys");
        }

        if (!KeyPair.ExportPublicKey(key).AsSpan().SequenceEqual(chain[0].SubjectPublicKeyInfo.Span))
        {
            key.Dispose();
            throw new AttestationException($"the key in {config.Key} is not that of the first certificate in {config.Certificate}");
        }

        return Task.FromResult<INodeAttestation>(new Attestation(X509PopWire.EncodeChain(chain.Select(certificate => certificate.Der)), key));
    }

    private static IReadOnlyList<Certificate> ReadCertificates(string path) => Pem.TryReadCertificates(Read(path), out var certificates, out var problem)
        ? certificates
        : throw new AttestationException($"{path}: {problem}");

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

    private sealed class Attestation(ReadOnlyMemory<byte> payload, AsymmetricAlgorithm key) : INodeAttestation
    {
        public ReadOnlyMemory<byte> Payload => payload;

        public Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken)
        {
            if (!X509PopWire.TryReadChallenge(challenge, key is RSA, out var nonce, out var problem))
            {
                throw AttestationException.BadChallenge(problem);
            }

            // A nonce of the node's own, so that the server cannot have it sign something of its choosing.
            var own = RandomNumberGenerator.GetBytes(X509PopWire.NonceLength);
            byte[] both = [.. nonce, .. own];
            ReadOnlyMemory<byte> answer = key is RSA rsa
                ? X509PopWire.EncodeRsaAnswer(own, rsa.SignData(both, HashAlgorithmName.SHA256, RSASignaturePadding.Pss))
                : X509PopWire.EncodeEcdsaAnswer(own, ((ECDsa)key).SignData(both, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
            return Task.FromResult(answer);
        }

        public ValueTask DisposeAsync()
        {
            key.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
