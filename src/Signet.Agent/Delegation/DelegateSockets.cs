using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Broker;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Files;
using Signet.Hosting.Grpc;
using Signet.Rpc.Wire.Broker;
using Signet.Rpc.Wire.Health;
using Signet.Rpc.Wire.Spire.Agent.Debug;
using Signet.Rpc.Wire.Spire.Agent.DelegatedIdentity;

namespace Signet.Agent.Delegation;

/// <summary>The sockets of those who act for others: the admin socket and, when there is one, that of brokers.</summary>
internal static class DelegateSockets
{
    public static IReadOnlyList<WorkloadEndpoint> Build(
        AgentConfig config,
        AgentIdentity identity,
        WorkloadSubjects subjects,
        WorkloadAttestor attestor,
        NodeSync sync,
        IdentityCache cache,
        JwtCache tokens,
        GrpcHealthService health,
        TimeProvider time,
        ILoggerFactory logs)
    {
        var mode = config.AdminSocketForGroup ? UnixSocketPath.GroupConnects : UnixSocketPath.OwnerConnects;
        var sockets = new List<WorkloadEndpoint>();
        if (config.AdminSocket is { } adminSocket)
        {
            var log = logs.CreateLogger<DelegatedIdentityService>();
            var delegation = new DelegatedIdentityService(new Delegates(subjects, config.AuthorizedDelegates, log), attestor, cache, tokens, time, log);
            var debug = new AgentDebugService(identity, sync, cache, tokens, time);
            sockets.Add(new WorkloadEndpoint(
                "admin API",
                adminSocket,
                mode,
                services => services
                    .Add(DelegatedIdentity.Descriptor, DelegatedIdentity.BindService(delegation), subjects.AttestAsync)
                    .Add(Debug.Descriptor, Debug.BindService(debug))
                    .Add(Health.Descriptor, Health.BindService(health))
                    .AddReflection(),
                time,
                logs));
        }

        if (config.Broker.Socket is { } brokerSocket)
        {
            var log = logs.CreateLogger<BrokerService>();
            var gate = new BrokerGate(config.Broker, identity, time, log);
            var broker = new BrokerService(gate, attestor, cache, tokens, time, log);
            sockets.Add(new WorkloadEndpoint(
                "broker API",
                brokerSocket,
                mode,
                services => services.Add(API.Descriptor, API.BindService(broker), gate.CheckAsync).Add(Health.Descriptor, Health.BindService(health), gate.CheckAsync).AddReflection(gate.CheckAsync),
                time,
                logs,
                gate.Secure));
        }

        return sockets;
    }
}
