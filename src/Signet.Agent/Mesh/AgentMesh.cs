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
    private readonly Meter _meter = new("Signet.Agent");

    public AgentMesh(
        AgentConfig config, AgentIdentity identity, ServerLink server, NodeSync node, IdentityCache identities, WorkloadSubjects subjects, MeshMemory memory, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        Sync = new MeshSync(identity, server, node, memory, time, chance, logs.CreateLogger<MeshSync>());
        Audience = new MeshAudience(time);
        _service = new MeshService(subjects, identities, Sync, Audience, config.MeshNamespace, logs.CreateLogger<MeshService>());
        Loops = [new BackgroundPart("mesh", Sync.RunAsync)];
        if (config.Mcp is { } mcp)
        {
            var sink = new McpSink(mcp, config, identity, Pods, time, chance, logs.CreateLogger<McpSink>());
            Loops = [.. Loops, new BackgroundPart("pods", sink.RunAsync)];
            PodsProblem = () => sink.Problem;
            _meter.CreateObservableGauge("signet.agent.mcp.pods", () => Pods.Count, description: "Pods that the source of MCP told of.");
            _meter.CreateObservableGauge("signet.agent.mcp.current", () => sink.Problem.Length == 0 ? 1 : 0, description: "1 while they are the newest, as far as the agent knows, else 0.");
            _meter.CreateObservableCounter("signet.agent.mcp.refused", () => sink.Refused, description: "Messages of the source that were refused.");
        }

        _meter.CreateObservableGauge("signet.agent.mesh.revision", () => (long)(Sync.Current.Snapshot?.Revision ?? 0), description: "The revision of the mesh's configuration that proxies get; 0 while there is none.");
        _meter.CreateObservableGauge("signet.agent.mesh.current", () => Sync.Current.Problem.Length == 0 ? 1 : 0, description: "1 while that is what the server has, as far as the agent knows, else 0.");
        _meter.CreateObservableGauge("signet.agent.mesh.proxies", () => Audience.Standings.Count, description: "Proxies that take the mesh's configuration.");
        _meter.CreateObservableGauge("signet.agent.mesh.proxies.behind", () => Audience.Standings.Count(one => one.Acknowledged < one.Sent), description: "Proxies that have not acknowledged what they were sent last.");
        _meter.CreateObservableGauge("signet.agent.mesh.proxies.refusing", () => Audience.Standings.Count(one => one.Refused > 0), description: "Proxies that refused what they were sent last.");
        _meter.CreateObservableCounter("signet.agent.mesh.acknowledged", () => Audience.Acknowledged, description: "Revisions that proxies applied.");
        _meter.CreateObservableCounter("signet.agent.mesh.refused", () => Audience.Refused, description: "Revisions that proxies refused.");
    }

    public MeshSync Sync { get; }

    /// <summary>The proxies.</summary>
    public MeshAudience Audience { get; }

    /// <summary>Pods by MCP; none when it is not configured.</summary>
    public PodDirectory Pods { get; } = new();

    /// <summary>Why they are not the newest; null when there is no source.</summary>
    public Func<string>? PodsProblem { get; }

    public IReadOnlyList<BackgroundPart> Loops { get; }

    public GrpcServices AddTo(GrpcServices services) => services.Add(MeshApi.Descriptor, MeshApi.BindService(_service), WorkloadHeader.CheckAsync);

    public void Dispose() => _meter.Dispose();
}
