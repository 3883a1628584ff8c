using System.Text;
using Signet.Hosting.Configuration;

namespace Signet.Agent.Attestation;

/// <summary>Shows a token that an operator made for this node.</summary>
internal sealed class JoinTokenAttestor(Secret? token) : INodeAttestor
{
    public string Type => "join_token";

    public Task<INodeAttestation> BeginAsync(CancellationToken cancellationToken) => token?.Reveal() is { Length: > 0 } text
        ? Task.FromResult<INodeAttestation>(new UnchallengedAttestation(Encoding.UTF8.GetBytes(text)))
        : throw new AttestationException("this agent has no valid SVID and no join token; make one on the server (signet token create) and set joinToken");
}
