using System.Security.Cryptography;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Attestation.Tpm;

namespace Signet.Server.Attestation;

/// <summary>
/// Admits devices whose identity (IEEE 802.1AR) lies in a TPM: a believed authority certified the device's key, the TPM says that it holds that key, and a believed maker says that it made
/// the TPM. Selectors are SPIRE's: <c>subject:cn</c>, <c>issuer:cn</c>, <c>ca:fingerprint</c>.
/// </summary>
/// <param name="trustDomain">Whose agents these are.</param>
/// <param name="devIdAuthorities">Who is believed about devices, at this moment.</param>
/// <param name="endorsementAuthorities">Who is believed about TPMs, at this moment.</param>
/// <param name="time">The clock.</param>
public sealed class TpmDevIdAttestor(
    TrustDomain trustDomain, Func<IReadOnlyList<Certificate>> devIdAuthorities, Func<IReadOnlyList<Certificate>> endorsementAuthorities, TimeProvider time) : INodeAttestor
{
    /// <summary>What makes a TPM's word about a key worth something: the key that signs it never signs anything else, and none of them was ever outside.</summary>
    private const uint Resident = TpmWords.FixedTpm | TpmWords.FixedParent | TpmWords.SensitiveDataOrigin;

    private const int MaxIntermediates = TpmDevIdWire.MaxCertificates - 1;

    public string Type => TpmDevIdWire.Type;

    public async Task<NodeVerdict> AttestAsync(NodeExchange node, CancellationToken cancellationToken)
    {
        // 1. Is the device's certificate good, and does a good TPM say that it holds the key?
        if (!TryRead(node.Payload, out var device, out var problem))
        {
            return NodeVerdict.Malformed($"{Type} payload: {problem}");
        }

        if (!TryFindPath(device, out var path, out problem) || !IsInTpm(device, out problem))
        {
            return NodeVerdict.Refused(problem);
        }

        // 2. Is it this very TPM? Only one with both the endorsement key and the attestation key can open the credential.
        var nonce = RandomNumberGenerator.GetBytes(TpmDevIdWire.NonceLength);
        var secret = RandomNumberGenerator.GetBytes(TpmDevIdWire.NonceLength);
        var (credential, seed) = TpmCredential.Seal(device.Endorsement, device.Attestation.Name, secret);
        var answer = await node.ChallengeAsync(TpmDevIdWire.EncodeChallenge(nonce, credential, seed), cancellationToken).ConfigureAwait(false);
        if (!TpmDevIdWire.TryReadAnswer(answer, out var signature, out var opened, out problem))
        {
            return NodeVerdict.Malformed($"{Type} answer: {problem}");
        }

        var leaf = path[0];
        if (!CryptographicOperations.FixedTimeEquals(opened, secret) || !Signs(leaf, nonce, signature))
        {
            return NodeVerdict.Refused($"the node's TPM is not the one that holds the keys of {leaf}");
        }

        // 3. Who is it, then?
        return SpiffeId.TryParse($"{trustDomain.IdString}/spire/agent/{Type}/{AgentName.FingerprintOf(leaf)}", out var id, out problem)
            ? NodeVerdict.Proven(new NodeProof.Repeatable(id, [.. SelectorsOf(path)]))
            : NodeVerdict.Refused($"{leaf} gives no name for an agent: {problem}");
    }

    private static bool TryRead(ReadOnlyMemory<byte> payload, out Device device, out string problem)
    {
        device = default!;
        if (!TpmDevIdWire.TryRead(payload, out var shown, out problem))
        {
            return false;
        }

        var chain = new List<Certificate>();
        foreach (var der in shown.DevIdCertificates)
        {
            if (!Certificate.TryParse(der, out var certificate, out problem))
            {
                problem = $"DevIDCert: {problem}";
                return false;
            }

            chain.Add(certificate);
        }

        if (!Certificate.TryParse(shown.EndorsementCertificate, out var endorsed, out problem))
        {
            problem = $"EKCert: {problem}";
            return false;
        }

        if (!TryReadKey("DevIDPub", shown.DevIdPublic, out var devId, out problem) || !TryReadKey("EKPub", shown.EndorsementPublic, out var endorsement, out problem)
            || !TryReadKey("AKPub", shown.AttestationPublic, out var attestation, out problem))
        {
            return false;
        }

        device = new Device(chain, devId, endorsed, endorsement, attestation, shown.Certified, shown.CertifiedSignature);
        return true;
    }

    private static bool TryReadKey(string name, byte[] bytes, out TpmPublic key, out string problem)
    {
        var isRead = TpmPublic.TryRead(bytes, out var read, out problem);
        key = read!;
        problem = isRead ? "" : $"{name}: {problem}";
        return isRead;
    }

    private bool TryFindPath(Device device, out IReadOnlyList<Certificate> path, out string problem)
    {
        var leaf = device.Chain[0];
        var verdict = PathValidator.Validate(Request(leaf, device.Chain.Skip(1), devIdAuthorities()));
        path = verdict.Path;
        problem = !verdict.IsValid ? verdict.Reason
            : leaf.IsAuthority ? $"{leaf} is an authority, which is no device"
            : leaf.KeyUsage is { } usage && (usage & KeyUsages.DigitalSignature) == 0 ? $"{leaf} may not sign: its key usage lacks digitalSignature"
            : "";
        return problem.Length == 0;
    }

    // Each link leads from the certificate to the TPM's maker: DevID key ← attestation key ← endorsement key ← maker.
    private bool IsInTpm(Device device, out string problem)
    {
        problem = !Same(device.DevId, device.Chain[0]) ? $"DevIDPub is not the key of {device.Chain[0]}"
            : !device.DevId.Has(Resident | TpmWords.Sign) ? "the device's key could have been made or copied outside of the TPM"
            : !device.Attestation.Has(Resident | TpmWords.Sign | TpmWords.Restricted) || device.Attestation.Has(TpmWords.Decrypt) ? "the attestation key could sign something else than what the TPM says"
            : !TpmStatement.Certifies(device.Attestation, device.Certified, device.Signature, device.DevId, out var reason) ? $"the TPM does not say that it holds the device's key: {reason}"
            : !Same(device.Endorsement, device.Endorsed) ? "EKPub is not the key of the endorsement certificate"
            : device.Endorsement is not { Type: TpmWords.Rsa, SymmetricBits: 128 or 256 } || !device.Endorsement.Has(Resident | TpmWords.Restricted | TpmWords.Decrypt) || device.Endorsement.Has(TpmWords.Sign)
                ? "the endorsement key is not an RSA key that only decrypts what its TPM may see"
            : PathValidator.Validate(Request(device.Endorsed, [], endorsementAuthorities())) is { IsValid: false } verdict ? $"the endorsement certificate is not one of a TPM that is believed: {verdict.Reason}"
            : "";
        return problem.Length == 0;
    }

    private static bool Same(TpmPublic key, Certificate certificate) => key.SubjectPublicKeyInfo.Span.SequenceEqual(certificate.SubjectPublicKeyInfo.Span);

    private PathRequest Request(Certificate leaf, IEnumerable<Certificate> intermediates, IReadOnlyList<Certificate> roots) => new()
    {
        Leaf = leaf,
        Intermediates = [.. intermediates],
        Roots = roots,
        At = time.GetUtcNow(),
        Profile = PathProfile.Rfc5280,
        Usage = CertificateUsage.Any,
        MaxIntermediates = MaxIntermediates,
    };

    private static bool Signs(Certificate leaf, byte[] nonce, byte[] signature)
    {
        using var key = leaf.ImportPublicKey();
        return key switch
        {
            RSA rsa => rsa.VerifyData(nonce, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
            ECDsa ec => ec.VerifyData(nonce, signature, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence),
            _ => false,
        };
    }

    private IEnumerable<Selector> SelectorsOf(IReadOnlyList<Certificate> path)
    {
        var values = new List<string>();
        if (path[0].SubjectName.CommonName is { Length: > 0 } subject)
        {
            values.Add($"subject:cn:{subject}");
        }

        if (path[0].IssuerName.CommonName is { Length: > 0 } issuer)
        {
            values.Add($"issuer:cn:{issuer}");
        }

        return values.Concat(path.Skip(1).Select(authority => $"ca:fingerprint:{AgentName.FingerprintOf(authority)}"))
            .Where(value => value.Length <= Selector.MaxLength - Type.Length - 1).Distinct(StringComparer.Ordinal).Select(value => new Selector(Type, value));
    }

    private sealed record Device(
        IReadOnlyList<Certificate> Chain, TpmPublic DevId, Certificate Endorsed, TpmPublic Endorsement, TpmPublic Attestation, byte[] Certified, byte[] Signature);
}
