using Signet.Agent.Identities;
using Signet.Identity.X509;

namespace Signet.Agent.Attestation;

/// <summary>This node has nothing with which it could prove itself; the message says what to give it.</summary>
internal sealed class AttestationException(string message) : Exception(message);

/// <summary>Proves this node to the server, by join token.</summary>
internal sealed class NodeAttestor(string? joinToken)
{
    public Task<X509Svid> JoinAsync(ServerLink server, CancellationToken cancellationToken) => joinToken is { Length: > 0 } token
        ? server.JoinAsync(token, cancellationToken)
        : throw new AttestationException("this agent has no valid SVID and no join token; make one on the server (signet token create) and set joinToken");
}
