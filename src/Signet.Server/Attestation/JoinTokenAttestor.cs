using System.Text;
using Signet.Identity.Registration;

namespace Signet.Server.Attestation;

/// <summary>Admits whoever shows a join token that nobody has used, and once more whoever used it a moment ago and shows the same key.</summary>
public sealed class JoinTokenAttestor(JoinTokens tokens) : INodeAttestor
{
    public string Type => JoinTokens.Attestor;

    public async Task<NodeVerdict> AttestAsync(NodeExchange node, CancellationToken cancellationToken)
    {
        // The token is used up only together with the agent's record, once there is a certificate to hand out.
        return await tokens.FindAsync(Encoding.UTF8.GetString(node.Payload.Span), cancellationToken).ConfigureAwait(false) is { } token
            ? NodeVerdict.Proven(new NodeProof.SingleUse(token.AgentId, [new Selector(Type, token.Token)], token.Alias, token.WasUsed, (agent, key) => tokens.RedeemAsync(token, agent, key)))
            : NodeVerdict.Refused(JoinTokens.Refusal);
    }
}
