using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Distribution;
using Signet.Hosting.Grpc;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Server.Attestation;
using Signet.Server.ControlPlane.Mcp;
using Signet.Server.Registration;
using MeshApi = Signet.Rpc.Wire.Mesh.Mesh;

namespace Signet.Server.ControlPlane;

/// <summary>All that distributes the mesh's configuration, put together. Dispose to stop.</summary>
internal sealed class MeshPlane : IAsyncDisposable
{
    private readonly MeshSource? _source;
    private readonly MeshAudience _audience;
    private readonly MeshWatchService _service;
    private readonly ResourceSourceService _mcp;
    private readonly McpDiscoveryService _discovery;
    private readonly Meter _meter = new("Signet.Server");

    /// <exception cref="Hosting.Files.PlaceException">A folder or file cannot be read.</exception>
    public MeshPlane(MeshConfig? config, string? entriesFolder, TrustDomain trustDomain, AgentDirectory agents, EntryDirectory entries, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        _source = config is null ? null : new MeshSource(config, entriesFolder, trustDomain, time, chance, logs.CreateLogger<MeshSource>());
        _audience = new MeshAudience(time);
        _service = new MeshWatchService(_source, _audience, agents, entries, time, logs.CreateLogger<MeshWatchService>());
        var feed = new McpFeed(_source, logs.CreateLogger<McpFeed>());
        _mcp = new ResourceSourceService(feed, time, logs.CreateLogger<ResourceSourceService>());
        _discovery = new McpDiscoveryService(feed, time, logs.CreateLogger<McpDiscoveryService>());
        _meter.CreateObservableGauge("signet.server.mcp.sinks", () => feed.Sinks, description: "Streams of MCP sinks.");
        _meter.CreateObservableCounter("signet.server.mcp.refused", () => feed.Refused, description: "Messages that MCP sinks refused.");
        _meter.CreateObservableGauge("signet.server.mesh.revision", () => (long)(_source?.Current?.Snapshot.Revision ?? 0), description: "The revision of the mesh's configuration; 0 while there is none.");
        _meter.CreateObservableGauge("signet.server.mesh.documents", () => _source?.Current?.Snapshot.Documents.Count ?? 0, description: "Documents of the mesh's configuration.");
        _meter.CreateObservableGauge("signet.server.mesh.broken", () => _source is { Problem.Length: > 0 } ? 1 : 0, description: "1 while what the mesh's files or its cluster want cannot be put in force, or not all of it, else 0.");
        if (_source?.Cluster is { } cluster)
        {
            _meter.CreateObservableGauge("signet.server.mesh.kubernetes.objects", cluster.CountObjects, description: "Objects of the cluster that are known, by kind.");
            _meter.CreateObservableGauge("signet.server.mesh.kubernetes.current", () => cluster.Problem.Length == 0 ? 1 : 0, description: "1 while all kinds of the cluster are followed, else 0.");
            _meter.CreateObservableCounter("signet.server.mesh.kubernetes.lists", cluster.CountLists, description: "Times that a kind was listed whole, by kind.");
        }

        _meter.CreateObservableGauge("signet.server.mesh.agents", () => _audience.Standings.Count, description: "Agents that take the mesh's configuration.");
        _meter.CreateObservableGauge("signet.server.mesh.agents.behind", () => _audience.Standings.Count(one => one.Acknowledged < one.Sent), description: "Agents that have not acknowledged what they were sent last.");
        _meter.CreateObservableGauge("signet.server.mesh.agents.refusing", () => _audience.Standings.Count(one => one.Refused > 0), description: "Agents that refused what they were sent last.");
    }

    public GrpcServices AddTo(GrpcServices services, GrpcCallFilter filter) => services
        .Add(MeshApi.Descriptor, MeshApi.BindService(_service), filter)
        .Add(ResourceSource.Descriptor, ResourceSource.BindService(_mcp), filter)
        .Add(AggregatedDiscoveryService.Descriptor, AggregatedDiscoveryService.BindService(_discovery), filter);

    public async ValueTask DisposeAsync()
    {
        _meter.Dispose();
        await (_source?.DisposeAsync() ?? ValueTask.CompletedTask).ConfigureAwait(false);
    }
}
