using System.Collections.Immutable;
using System.Security.Cryptography;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Server.Attestation;

/// <summary>
/// Admits whoever shows a certificate of an authority that is believed and proves to have its key. Selectors are SPIRE's: <c>subject:cn</c>,
/// <c>ca:fingerprint</c>, <c>serialnumber</c> and <c>san</c>.
/// </summary>
/// <param name="trustDomain">Whose agents these are.</param>
/// <param name="config">What is demanded of certificates.</param>
/// <param name="authorities">The authorities that are believed at this moment.</param>
/// <param name="time">The clock.</param>
public sealed class X509PopAttestor(TrustDomain trustDomain, X509PopConfig config, Func<IReadOnlyList<Certificate>> authorities, TimeProvider time) : INodeAttestor
{
    private const int MaxIntermediates = X509PopWire.MaxCertificates - 1;

    public string Type => X509PopWire.Type;

    public async Task<NodeVerdict> AttestAsync(NodeExchange node, CancellationToken cancellationToken)
    {
        // 1. Is the certificate good?
        if (!TryReadChain(node.Payload, out var chain, out var problem))
        {
            return NodeVerdict.Malformed($"{Type} payload: {problem}");
        }

        var leaf = chain[0];
        var path = PathValidator.Validate(new PathRequest
        {
            Leaf = leaf,
            Intermediates = chain[1..],
            Roots = authorities(),
            At = time.GetUtcNow(),
            Profile = PathProfile.Rfc5280,
            Usage = config.Usage,
            MaxIntermediates = MaxIntermediates,
        });
        problem = !path.IsValid ? path.Reason
            : leaf.IsAuthority ? $"{leaf} is an authority, which is no node"
            : leaf.KeyUsage is not { } usage || (usage & KeyUsages.DigitalSignature) == 0 ? $"{leaf} may not sign: its key usage lacks digitalSignature"
            : KeyTypes.Of(leaf.SubjectPublicKeyInfo) is KeyType.Ed25519 ? $"{leaf} has an Ed25519 key; {Type} knows how RSA and EC keys answer, and no other"
            : "";
        if (problem.Length > 0)
        {
            return NodeVerdict.Refused(problem);
        }

        // 2. Is it the node's own?
        using var key = leaf.ImportPublicKey();
        var nonce = RandomNumberGenerator.GetBytes(X509PopWire.NonceLength);
        var answer = await node.ChallengeAsync(X509PopWire.EncodeChallenge(key is RSA, nonce), cancellationToken).ConfigureAwait(false);
        if (!TryReadAnswer(answer, key, nonce, out var isProven, out problem))
        {
            return NodeVerdict.Malformed($"{Type} answer: {problem}");
        }

        if (!isProven)
        {
            return NodeVerdict.Refused($"the signature was not made with the key of {leaf}");
        }

        // 3. Who is it, then?
        return config.AgentName.TryExpand(leaf, out var name, out problem) && SpiffeId.TryParse($"{trustDomain.IdString}/spire/agent/{Type}/{name}", out var id, out problem)
            ? NodeVerdict.Proven(new NodeProof.Repeatable(id, [.. SelectorsOf(path.Path)]))
            : NodeVerdict.Refused($"{leaf} gives no name for an agent: {problem}");
    }

    private static bool TryReadChain(ReadOnlyMemory<byte> payload, out Certificate[] chain, out string problem)
    {
        chain = [];
        if (!X509PopWire.TryReadChain(payload, out var ders, out problem))
        {
            return false;
        }

        var read = new List<Certificate>(ders.Count);
        foreach (var der in ders)
        {
            if (!Certificate.TryParse(der, out var certificate, out problem))
            {
                return false;
            }

            read.Add(certificate);
        }

        chain = [.. read];
        return true;
    }

    private static bool TryReadAnswer(ReadOnlyMemory<byte> answer, AsymmetricAlgorithm key, byte[] nonce, out bool isProven, out string problem)
    {
        isProven = false;
        if (key is RSA rsa)
        {
            if (X509PopWire.TryReadRsaAnswer(answer, out var own, out var signature, out problem))
            {
                // SPIRE's agents make the salt as long as fits.
                isProven = PssSignature.Verifies(rsa, [.. nonce, .. own], signature);
            }
        }
        else
        {
            var ec = (ECDsa)key;
            if (X509PopWire.TryReadEcdsaAnswer(answer, (ec.KeySize + 7) / 8, out var own, out var signature, out problem))
            {
                byte[] both = [.. nonce, .. own];
                isProven = ec.VerifyData(both, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
            }
        }

        return problem.Length == 0;
    }

    private IEnumerable<Selector> SelectorsOf(IReadOnlyList<Certificate> path)
    {
        var leaf = path[0];
        var values = new List<string> { $"serialnumber:{leaf.SerialHex}" };
        if (leaf.SubjectName.CommonName is { Length: > 0 } name)
        {
            values.Add($"subject:cn:{name}");
        }

        values.AddRange(path.Skip(1).Select(authority => $"ca:fingerprint:{AgentName.FingerprintOf(authority)}"));

        // x509pop://TRUST-DOMAIN/KEY/VALUE
        var prefix = $"{Type}://{trustDomain}/";
        foreach (var uri in leaf.UriNames.Where(uri => uri.StartsWith(prefix, StringComparison.Ordinal)))
        {
            var (key, value) = uri[prefix.Length..].Trim('/').Split('/', 2) is [var first, var second] ? (first, second) : ("", "");
            if (key.Length > 0 && value.Length > 0)
            {
                values.Add($"san:{key}:{value}");
            }
        }

        return values.Where(value => value.Length <= Selector.MaxLength - Type.Length - 1).Distinct(StringComparer.Ordinal).Select(value => new Selector(Type, value));
    }
}
