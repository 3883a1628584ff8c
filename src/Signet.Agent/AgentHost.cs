using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Attestation.Workload.Token;
using Signet.Agent.Delegation;
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
using Signet.Identity.Rotation;
using Signet.Rpc.Wire.AgentState;
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
    private readonly AgentIdentity _identity;
    private readonly NodeSync _sync;

    private AgentHost(
        AgentConfig config, AgentIdentity identity, IReadOnlyList<IDisposable> ownedLast, IReadOnlyList<IAsyncDisposable> owned, ReadinessBoard readiness, AdminEndpoint admin, IReadOnlyList<WorkloadEndpoint> sockets, IReadOnlyList<BackgroundPart> loops,
        NodeSync sync, AgentMesh mesh)
    {
        Config = config;
        Readiness = readiness;
        Parts = [admin, .. loops, .. sockets];
        _ownedLast = ownedLast;
        _owned = [.. sockets, .. loops, admin, .. owned];
        (_identity, _sync, Mesh) = (identity, sync, mesh);
    }

    public AgentConfig Config { get; }

    /// <summary>What to start, in this order.</summary>
    public IReadOnlyList<IDaemonPart> Parts { get; }

    public ReadinessBoard Readiness { get; }

    /// <summary>Until when the agent's own SVID is valid; null before it has joined.</summary>
    internal DateTimeOffset? ValidUntil => _identity.Credential?.Svid.NotAfter;

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
        var bootstrap = new Bootstrap(config.BootstrapBundle, config.DataDir, logs.CreateLogger<Bootstrap>());
        var identity = AgentIdentity.TryLoad(config.TrustDomain, config.DataDir, bootstrap.Read(), new RenewalRule(config.AvailabilityTarget), chance, out var problem)
            ?? throw new AgentStartException(problem);
        bootstrap.NoteFirst();
        identity.Bootstrap = bootstrap;

        // 2. What it may hand out.
        var svidKeys = new SvidKeys(config.SvidKeyType);
        var server = new ServerLink(identity, config.Server.Host, config.Server.Port, svidKeys, time);
        var clients = new ClientLedger();
        var metrics = new AgentMetrics();
        var identities = NodeIdentities.Build(config, identity, server, clients, metrics, time, chance, logs);
        var (cache, sync, keeper) = (identities.Cache, identities.Sync, identities.Keeper);
        var collector = new MetricsCollector();

        // 3. To whom.
        var attestor = WorkloadAttestors.Build(config.WorkloadAttestors, cache, time, chance, logs.CreateLogger<WorkloadAttestor>());
        var subjects = new WorkloadSubjects(attestor, cache, clients, metrics, time, logs.CreateLogger<WorkloadSubjects>());
        var workloadTokens = WorkloadTokens.Start(
            config.WorkloadTokens,
            () => [config.WorkloadTokens.Audience ?? config.TrustDomain.IdString, .. identity.Credential is { } own ? [own.Svid.Id.Uri] : Array.Empty<string>()],
            time,
            logs.CreateLogger<WorkloadTokens>());
        var tokens = new JwtCache(server.SignTokenAsync, () => cache.Current.View.Superseded, time, logs.CreateLogger<JwtCache>());
        var wits = new WitCache(server.SignWitsAsync, () => cache.Current.View.Superseded, time, logs.CreateLogger<WitCache>());
        var mesh = new AgentMesh(config, identity, server, sync, cache, subjects, MeshMemory.In(identities.Kept), time, chance, logs);
        var health = new GrpcHealthService();
        var secrets = new SecretDiscovery(subjects, workloadTokens, cache, server.StaplesAsync, time, chance, logs);
        var api = new WorkloadEndpoint(
            "Workload API",
            config.Socket,
            UnixSocketPath.EverybodyConnects,
            services => mesh.AddTo(secrets.AddTo(services))
                .Add(AgentState.Descriptor, AgentState.BindService(new AgentStateService(config, identity, sync, cache, clients, mesh, NativeUser.EffectiveId())))
                .Add(SpiffeWorkloadAPI.Descriptor, SpiffeWorkloadAPI.BindService(new WorkloadApiService(subjects, tokens, config.ServesWit ? wits : null, time)), subjects.AttestWithHeaderAsync)
                .Add(Applied.Descriptor, Applied.BindService(new AppliedService(subjects, clients)), subjects.AttestWithHeaderAsync)
                .Add(Explain.Descriptor, Explain.BindService(new ExplainService(attestor, cache, sync, keeper, svidKeys, NativeUser.EffectiveId(), time)))
                .Add(Health.Descriptor, Health.BindService(health))
                .AddReflection(),
            time,
            logs);
        var delegates = DelegateSockets.Build(config, identity, subjects, attestor, sync, cache, tokens, health, time, logs);
        var readiness = new ReadinessBoard("server");
        var status = new AgentStatus(config, identity, sync, cache, readiness, health, time, logs.CreateLogger<AgentStatus>());
        var admin = new AdminEndpoint(config.Metrics, "metrics", [PrometheusText.Route(collector), AdminRoute.Live, AdminRoute.Ready(readiness), .. secrets.RoutesAt(config.Metrics)], logs);
        return new AgentHost(
            config,
            identity,
            [server, mesh, metrics, secrets, collector, wits, attestor],
            [workloadTokens],
            readiness,
            admin,
            [api, .. delegates],
            [.. identities.Parts, .. mesh.Loops, secrets.Loop, new BackgroundPart("status", status.RunAsync)],
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
}
