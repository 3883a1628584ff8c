using Grpc.Core;
using Signet.Agent.Identities;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Agent.Debug;
using Cert = Signet.Rpc.Wire.Spire.Agent.Debug.GetInfoResponse.Types.Cert;

namespace Signet.Agent.Delegation;

/// <summary>
/// spire.agent.debug.v1.Debug: the agent at this moment. The server pushes, so the last synchronisation is now while its stream is open, and not told while
/// it is not.
/// </summary>
internal sealed class AgentDebugService(AgentIdentity identity, NodeSync sync, IdentityCache cache, JwtCache tokens, TimeProvider time) : Debug.DebugBase
{
    private readonly long _started = time.GetTimestamp();

    public override Task<GetInfoResponse> GetInfo(GetInfoRequest request, ServerCallContext context)
    {
        var response = new GetInfoResponse
        {
            Uptime = (int)time.GetElapsedTime(_started).TotalSeconds,
            LastSyncSuccess = sync.Problem.Length == 0 ? time.GetUtcNow().ToUnixTimeSeconds() : 0,
            CachedX509SvidsCount = cache.Current.Held.Count,
            CachedJwtSvidsCount = tokens.Count,
        };
        response.SvidChain.AddRange((identity.Credential?.Svid.Chain ?? []).Select(certificate => new Cert
        {
            Id = certificate.UriNames is [var uri] && SpiffeId.TryParse(uri, out var id, out _) ? id.ToWire() : null,
            ExpiresAt = certificate.NotAfter.ToUnixTimeSeconds(),
            Subject = certificate.Subject,
        }));
        return Task.FromResult(response);
    }
}
