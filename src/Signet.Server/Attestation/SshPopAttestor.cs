using System.Security.Cryptography;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Attestation.Ssh;

namespace Signet.Server.Attestation;

/// <summary>
/// Admits hosts that show a certificate of OpenSSH by an authority that is believed and prove to have its key. SPIRE's attestor of that name finds no selectors; this one finds
/// <c>hostname</c>, <c>key_id</c> and <c>ca:fingerprint</c>.
/// </summary>
/// <param name="trustDomain">Whose agents these are.</param>
/// <param name="config">How hosts are named.</param>
/// <param name="authorities">The authorities that are believed at this moment.</param>
/// <param name="time">The clock.</param>
public sealed class SshPopAttestor(TrustDomain trustDomain, SshPopConfig config, Func<IReadOnlyList<SshPublicKey>> authorities, TimeProvider time) : INodeAttestor
{
    public string Type => SshPopWire.Type;

    public async Task<NodeVerdict> AttestAsync(NodeExchange node, CancellationToken cancellationToken)
    {
        // 1. Is the certificate good?
        if (!SshPopWire.TryReadCertificate(node.Payload, out var encoded, out var problem) || !SshCertificate.TryRead(encoded, out var certificate, out problem))
        {
            return NodeVerdict.Malformed($"{Type} payload: {problem}");
        }

        var name = $"certificate \"{Printable.Of(certificate.KeyId)}\", serial {certificate.Serial}";
        if (certificate.Problem(authorities(), time.GetUtcNow()) is { Length: > 0 } bad)
        {
            return NodeVerdict.Refused($"{name}: {bad}");
        }

        // 2. Is it the node's own?
        var nonce = RandomNumberGenerator.GetBytes(SshPopWire.NonceLength);
        var answer = await node.ChallengeAsync(SshPopWire.EncodeChallenge(nonce), cancellationToken).ConfigureAwait(false);
        if (!SshPopWire.TryReadAnswer(answer, out var own, out var format, out var signature, out problem))
        {
            return NodeVerdict.Malformed($"{Type} answer: {problem}");
        }

        // SPIRE's agents sign by RSA with SHA-1. It is over a nonce of this server's, so that nothing could be prepared.
        if (!certificate.Key.Verifies(SshPopWire.ToBeSigned(nonce, own), format, signature, withSha1: true))
        {
            return NodeVerdict.Refused($"the signature was not made with the key of {name}");
        }

        // 3. Who is it, then?
        var host = config.HostOf(certificate);
        return config.AgentName.TryExpand(certificate, host, out var path, out problem) && SpiffeId.TryParse($"{trustDomain.IdString}/spire/agent/{Type}/{path}", out var id, out problem)
            ? NodeVerdict.Proven(new NodeProof.Repeatable(id, [.. SelectorsOf(certificate, host)]))
            : NodeVerdict.Refused($"{name} gives no name for an agent: {problem}");
    }

    private IEnumerable<Selector> SelectorsOf(SshCertificate certificate, string host)
    {
        string[] values = [$"hostname:{host}", $"key_id:{certificate.KeyId}", $"ca:fingerprint:{System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(certificate.Authority.Encoded.Span))}"];
        return values.Where(value => value.Length <= Selector.MaxLength - Type.Length - 1 && !value.EndsWith(':')).Select(value => new Selector(Type, value));
    }
}
