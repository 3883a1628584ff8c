using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Hosting.Admin;
using Signet.Hosting.Grpc;
using Signet.Rpc.Wire.Health;

namespace Signet.Agent;

/// <summary>Says whether the agent is ready: it has an identity of its own and has heard from its server once. One task.</summary>
internal sealed class AgentStatus(
    AgentConfig config, AgentIdentity identity, NodeSync sync, IdentityCache cache, ReadinessBoard readiness, GrpcHealthService health, TimeProvider time, ILogger<AgentStatus> log)
{
    private const string Condition = "server";

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        log.AgentReady(config.TrustDomain.Name, $"{config.Server.Host}:{config.Server.Port}", config.Socket);
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), time);
        do
        {
            var state = Judge();
            readiness.Set(Condition, state);
            health.Set("", state.IsReady ? HealthCheckResponse.Types.ServingStatus.Serving : HealthCheckResponse.Types.ServingStatus.NotServing);
        }
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
    }

    // A server that went away later does not make the agent unready: it goes on serving what it has.
    private Readiness Judge() =>
        identity.Credential is not { } own ? Readiness.NotReady($"not joined: {sync.Problem}")
        : time.GetUtcNow() > own.Svid.NotAfter ? Readiness.NotReady($"own certificate expired at {own.Svid.NotAfter:u}: {sync.Problem}")
        : cache.Current.View.Revision == 0 ? Readiness.NotReady($"nothing heard from the server yet: {sync.Problem}")
        : Readiness.Ready;
}
