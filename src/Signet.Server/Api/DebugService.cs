using Grpc.Core;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Debug;
using Signet.Server.Attestation;
using Signet.Server.Registration;
using Signet.Server.Upkeep;
using Cert = Signet.Rpc.Wire.Spire.Server.Debug.GetInfoResponse.Types.Cert;

namespace Signet.Server.Api;

/// <summary>spire.api.server.debug.v1.Debug: the server at this moment.</summary>
internal sealed class DebugService(ServerIdentity identity, AgentDirectory agents, EntryDirectory entries, TimeProvider time) : Debug.DebugBase
{
    private readonly long _started = time.GetTimestamp();

    public override Task<GetInfoResponse> GetInfo(GetInfoRequest request, ServerCallContext context)
    {
        var svid = identity.Current.Svid;
        var response = new GetInfoResponse
        {
            Uptime = (int)time.GetElapsedTime(_started).TotalSeconds,
            AgentsCount = agents.Agents.Count,
            EntriesCount = entries.Entries.Count,
        };
        response.SvidChain.AddRange(svid.Chain.Select(certificate => new Cert
        {
            Id = certificate.UriNames is [var uri] && Identity.Spiffe.SpiffeId.TryParse(uri, out var id, out _) ? id.ToWire() : null,
            ExpiresAt = certificate.NotAfter.ToUnixTimeSeconds(),
            Subject = certificate.Subject,
        }));
        return Task.FromResult(response);
    }
}
