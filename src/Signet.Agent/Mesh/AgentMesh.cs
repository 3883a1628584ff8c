using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Daemons;
using Signet.Hosting.Distribution;
using Signet.Hosting.Grpc;
using MeshApi = Signet.Rpc.Wire.Mesh.Mesh;

namespace Signet.Agent.Mesh;

/// <summary>All that brings the mesh's configuration to proxies, put together. Dispose after its loops have ended.</summary>
internal sealed class AgentMesh : IDisposable
{
    private readonly MeshService _service;
    private readonly WorkloadSubjects _subjects;
    private readonly Meter _meter = new("Signet.Agent");

    public AgentMesh(
        AgentConfig config, AgentIdentity identity, ServerLink server, NodeSync node, IdentityCache identities, WorkloadSubjects subjects, MeshMemory memory, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        Held = new MeshHolder(memory, logs.CreateLogger<MeshHolder>());
        Audience = new MeshAudience(time);
        _subjects = subjects;
        _service = new MeshService(subjects, identities, Held, Audience, config.MeshNamespace, logs.CreateLogger<MeshService>());
        Loops = config.Mcp is { Policies: true } ? [] : [new BackgroundPart("mesh", new MeshSync(identity, server, node, Held, time, chance).RunAsync)];
        if (config.Mcp is { } mcp)
        {
            var policies = mcp.Policies ? new McpPolicies(Held, time) : null;
            var sink = new McpSink(mcp, config, identity, Pods, policies, problem => Tell(policies, problem), time, chance, logs.CreateLogger<McpSink>());
            Loops = [.. Loops, new BackgroundPart("mcp", sink.RunAsync)];
            PodsProblem = () => sink.Problem;
            _meter.CreateObservableGauge("signet.agent.mcp.pods", () => Pods.Count, description: "Pods that the source of MCP told of.");
            _meter.CreateObservableGauge("signet.agent.mcp.current", () => sink.Problem.Length == 0 ? 1 : 0, description: "1 while they are the newest, as far as the agent knows, else 0.");
            _meter.CreateObservableCounter("signet.agent.mcp.refused", () => sink.Refused, description: "Messages of the source that were refused.");
        }

        _meter.CreateObservableGauge("signet.agent.mesh.revision", () => (long)(Held.Current.Snapshot?.Revision ?? 0), description: "The revision of the mesh's configuration that proxies get; 0 while there is none.");
        _meter.CreateObservableGauge("signet.agent.mesh.current", () => Held.Current.Problem.Length == 0 ? 1 : 0, description: "1 while that is what the server has, as far as the agent knows, else 0.");
        _meter.CreateObservableGauge("signet.agent.mesh.proxies", () => Audience.Standings.Count, description: "Proxies that take the mesh's configuration.");
        _meter.CreateObservableGauge("signet.agent.mesh.proxies.behind", () => Audience.Standings.Count(one => one.Acknowledged < one.Sent), description: "Proxies that have not acknowledged what they were sent last.");
        _meter.CreateObservableGauge("signet.agent.mesh.proxies.refusing", () => Audience.Standings.Count(one => one.Refused > 0), description: "Proxies that refused what they were sent last.");
        _meter.CreateObservableCounter("signet.agent.mesh.acknowledged", () => Audience.Acknowledged, description: "Revisions that proxies applied.");
        _meter.CreateObservableCounter("signet.agent.mesh.refused", () => Audience.Refused, description: "Revisions that proxies refused.");
    }

    /// <summary>What proxies are told.</summary>
    public MeshHolder Held { get; }

    /// <summary>The proxies.</summary>
    public MeshAudience Audience { get; }

    /// <summary>Pods by MCP; none when it is not configured.</summary>
    public PodDirectory Pods { get; } = new();

    /// <summary>Why they are not the newest; null when there is no source.</summary>
    public Func<string>? PodsProblem { get; }

    public IReadOnlyList<BackgroundPart> Loops { get; }

    public GrpcServices AddTo(GrpcServices services) => services.Add(MeshApi.Descriptor, MeshApi.BindService(_service), _subjects.AttestWithHeaderAsync);

    public void Dispose() => _meter.Dispose();

    // What is wrong with the source concerns proxies only when they get its policies.
    private void Tell(McpPolicies? policies, string problem)
    {
        if (policies is not null)
        {
            Held.Tell(problem);
        }
    }
}
