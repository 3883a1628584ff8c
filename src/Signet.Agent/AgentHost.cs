using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Agent.Mesh;
using Signet.Agent.Sds;
using Signet.Agent.State;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Hosting;
using Signet.Hosting.Admin;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Hosting.Grpc;
using Signet.Hosting.Telemetry;
using Signet.Identity.X509;
using Signet.Rpc.Wire.AgentState;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Explain;
using Signet.Rpc.Wire.Health;
using Signet.Rpc.Wire.Spiffe;
using Signet.Rpc.Wire.Workload;

namespace Signet.Agent;

/// <summary>The agent cannot begin; the message says what it needs.</summary>
public sealed class AgentStartException(string message) : Exception(message);

/// <summary>An agent, put together and not yet started. Whoever builds it disposes it.</summary>
public sealed class AgentHost : IAsyncDisposable
{
    private readonly IReadOnlyList<IDisposable> _ownedLast;
    private readonly IReadOnlyList<IAsyncDisposable> _owned;
    private readonly NodeSync _sync;

    private AgentHost(AgentConfig config, IReadOnlyList<IDisposable> owned, ReadinessBoard readiness, AdminEndpoint admin, WorkloadEndpoint api, IReadOnlyList<BackgroundPart> loops, NodeSync sync, AgentMesh mesh)
    {
        Config = config;
        Readiness = readiness;
        Parts = [admin, .. loops, api];
        _ownedLast = owned;
        _owned = [api, .. loops, admin];
        _sync = sync;
        Mesh = mesh;
    }

    public AgentConfig Config { get; }

    /// <summary>What to start, in this order.</summary>
    public IReadOnlyList<IDaemonPart> Parts { get; }

    public ReadinessBoard Readiness { get; }

    /// <summary>What the server said last.</summary>
    internal NodeView View => _sync.Current;

    /// <summary>What proxies are told, and what they made of it.</summary>
    internal AgentMesh Mesh { get; }

    /// <summary>Resumes what was saved and wires the API; nothing listens or connects yet.</summary>
    /// <exception cref="AgentStartException">There is no trust bundle to begin with, or it cannot be read.</exception>
    /// <exception cref="PlaceException">A folder or file is not fit to hold keys.</exception>
    public static AgentHost Build(AgentConfig config, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        // 1. Who this agent is.
        PrivateFolder.Ensure(config.DataDir);
        var identity = AgentIdentity.TryLoad(config.TrustDomain, config.DataDir, ReadBootstrap(config.BootstrapBundle), chance, out var problem)
            ?? throw new AgentStartException(problem);

        // 2. What it may hand out.
        var server = new ServerLink(identity, config.Server.Host, config.Server.Port, time);
        var cache = new IdentityCache();
        var clients = new ClientLedger();
        var sync = new NodeSync(identity, server, config.Attestor.Build(), cache, clients, time, chance, logs.CreateLogger<NodeSync>());
        var metrics = new AgentMetrics();
        metrics.Observe(identity, cache, clients, sync, time);
        var collector = new MetricsCollector();
        var keeper = new IdentityKeeper(sync, server, cache, metrics, time, chance, logs.CreateLogger<IdentityKeeper>());

        // 3. To whom.
        var attestor = new WorkloadAttestor(new UnixAttestor(), cache, logs.CreateLogger<WorkloadAttestor>());
        var subjects = new WorkloadSubjects(attestor, cache, clients, metrics, time, logs.CreateLogger<WorkloadSubjects>());
        var tokens = new JwtCache(server.SignTokenAsync, () => cache.Current.View.Superseded, time, logs.CreateLogger<JwtCache>());
        var mesh = new AgentMesh(config, identity, server, sync, cache, subjects, MeshMemory.InFile(Path.Combine(config.DataDir, "mesh")), time, chance, logs);
        var health = new GrpcHealthService();
        var api = new WorkloadEndpoint(
            config.Socket,
            services => mesh.AddTo(services)
                .Add(AgentState.Descriptor, AgentState.BindService(new AgentStateService(config, identity, sync, cache, clients, mesh, NativeUser.EffectiveId())))
                .Add(SpiffeWorkloadAPI.Descriptor, SpiffeWorkloadAPI.BindService(new WorkloadApiService(subjects, tokens, time)), WorkloadHeader.CheckAsync)
                .Add(Applied.Descriptor, Applied.BindService(new AppliedService(subjects, clients)), WorkloadHeader.CheckAsync)
                .Add(SecretDiscoveryService.Descriptor, SecretDiscoveryService.BindService(new SdsService(subjects, cache, metrics, logs.CreateLogger<SdsService>())))
                .Add(Explain.Descriptor, Explain.BindService(new ExplainService(attestor, cache, sync, keeper, NativeUser.EffectiveId(), time)))
                .Add(Health.Descriptor, Health.BindService(health))
                .AddReflection(),
            time,
            logs);
        var readiness = new ReadinessBoard("server");
        var status = new AgentStatus(config, identity, sync, cache, readiness, health, time, logs.CreateLogger<AgentStatus>());
        var admin = new AdminEndpoint(config.Metrics, "metrics", [PrometheusText.Route(collector), AdminRoute.Live, AdminRoute.Ready(readiness)], logs);
        return new AgentHost(
            config,
            [server, mesh, metrics, collector],
            readiness,
            admin,
            api,
            [new BackgroundPart("node", sync.RunAsync), new BackgroundPart("identities", keeper.RunAsync), .. mesh.Loops, new BackgroundPart("status", status.RunAsync)],
            sync,
            mesh);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in _owned)
        {
            await owned.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var owned in _ownedLast)
        {
            owned.Dispose();
        }
    }

    private static IReadOnlyList<Certificate>? ReadBootstrap(string? path)
    {
        if (path is null)
        {
            return null;
        }

        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new AgentStartException($"bootstrap bundle {path} cannot be read: {e.Message}");
        }

        return Pem.TryReadCertificates(text, out var anchors, out var problem)
            ? anchors
            : throw new AgentStartException($"bootstrap bundle {path}: {problem}");
    }
}
