using Signet.Hosting.Files;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Agent.Attestation;

/// <summary>Shows the service account token of the pod that this agent runs in. Kubernetes replaces it now and then, so it is read at each attestation.</summary>
internal sealed class K8sPsatAttestor(AttestorConfig.K8sPsat config) : INodeAttestor
{
    public string Type => K8sTokenWire.PsatType;

    public Task<INodeAttestation> BeginAsync(CancellationToken cancellationToken)
    {
        try
        {
            var token = FileSet.Of(config.TokenFile).Read()[0].Text.Trim();
            return token.Length is > 0 and <= K8sTokenWire.MaxTokenLength
                ? Task.FromResult<INodeAttestation>(new UnchallengedAttestation(new K8sTokenWire(config.Cluster, token).Encode()))
                : throw new AttestationException($"{config.TokenFile} holds {token.Length} characters; a token of 1 to {K8sTokenWire.MaxTokenLength} was expected");
        }
        catch (PlaceException e)
        {
            throw new AttestationException($"{e.Message}; project a service account token for the audience spire-server there");
        }
    }
}
