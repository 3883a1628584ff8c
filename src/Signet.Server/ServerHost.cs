using System.Net;
using Microsoft.Extensions.Logging;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Revocation;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Hosting.Grpc;
using Signet.Hosting.Logging;
using Signet.Hosting.Telemetry;
using Signet.Rpc.Wire.Health;
using Signet.Server.Api;
using Signet.Server.Attestation;
using Signet.Server.Audit;
using Signet.Server.ControlPlane;
using Signet.Server.Federation;
using Signet.Server.Http;
using Signet.Server.Keys;
using Signet.Server.Limits;
using Signet.Server.Registration;
using Signet.Server.Registration.Desired;
using Signet.Server.Storage.Sqlite;
using Signet.Server.Telemetry;
using Signet.Server.Upkeep;
using Signet.Server.Upstream;
using AgentApi = Signet.Rpc.Wire.Spire.Server.Agent.Agent;
using AuditApi = Signet.Rpc.Wire.Audit.Audit;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using DebugApi = Signet.Rpc.Wire.Spire.Server.Debug.Debug;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;
using LoggerApi = Signet.Rpc.Wire.Spire.Server.Logger.Logger;
using NodeApi = Signet.Rpc.Wire.Node.Node;
using RegistrationApi = Signet.Rpc.Wire.Registration.Registration;
using RevocationsApi = Signet.Rpc.Wire.Authority.Revocations;
using SvidApi = Signet.Rpc.Wire.Spire.Server.SVID.SVID;
using TrustDomainApi = Signet.Rpc.Wire.Spire.Server.TrustDomain.TrustDomain;

namespace Signet.Server;

/// <summary>A server, put together and not yet started. Whoever builds it disposes it.</summary>
public sealed class ServerHost : IAsyncDisposable
{
    /// <summary>How long the log of issued certificates remembers one that has expired.</summary>
    private static readonly TimeSpan KeepIssued = TimeSpan.FromDays(30);

    /// <summary>A server that comes back so long after everything that it signed has expired doubts its clock for a while.</summary>
    private static readonly TimeSpan LongestAbsence = TimeSpan.FromHours(1);

    private readonly SqliteDatabase _database;
    private readonly IReadOnlyList<IDisposable> _ownedLast;
    private readonly ApiEndpoint _api;
    private readonly Publisher? _publisher;
    private readonly OcspEndpoint? _ocsp;
    private readonly IReadOnlyList<IAsyncDisposable> _owned;

    private ServerHost(
        ServerConfig config,
        SqliteDatabase database,
        AuditTrail audit,
        NodeAttestors attestors,
        MeshPlane mesh,
        IReadOnlyList<IDisposable> owned,
        ApiEndpoint api,
        AdminEndpoint admin,
        AuthorityCare care,
        Publisher? publisher,
        OcspEndpoint? ocsp,
        DesiredFolder? desired,
        IReadOnlyList<BackgroundPart> loops,
        ReadinessBoard readiness)
    {
        Config = config;
        Readiness = readiness;
        Parts = [api, .. loops, admin, .. publisher?.Parts ?? [], .. ocsp is null ? Array.Empty<IDaemonPart>() : [ocsp]];
        _database = database;
        _ownedLast = owned;
        _api = api;
        _publisher = publisher;
        _ocsp = ocsp;
        _owned = [.. new IAsyncDisposable?[] { ocsp, publisher, admin }.OfType<IAsyncDisposable>(), .. loops, .. new IAsyncDisposable?[] { care, desired, api, mesh, attestors, audit }.OfType<IAsyncDisposable>()];
        Admin = admin;
    }

    public ServerConfig Config { get; }

    /// <summary>What to start, in this order.</summary>
    public IReadOnlyList<IDaemonPart> Parts { get; }

    public ReadinessBoard Readiness { get; }

    /// <summary>What is counted of the store.</summary>
    internal StoreMetrics Store => _database.Metrics;

    /// <summary>How long changes are on their way to the agents.</summary>
    internal PushMetrics Pushes => _ownedLast.OfType<PushMetrics>().Single();

    /// <summary>Metrics and health.</summary>
    public AdminEndpoint Admin { get; }

    /// <summary>Where agents connect; the real port once it started.</summary>
    public IPEndPoint LocalEndPoint => _api.LocalEndPoint;

    /// <summary>Where bundle and keys are published; the real port once it started. Null when nothing is.</summary>
    public IPEndPoint? HttpEndPoint => _publisher?.Endpoint.LocalEndPoint;

    /// <summary>Where questions after revocation are answered; the real port once it started. Null when nowhere.</summary>
    public IPEndPoint? OcspEndPoint => _ocsp?.LocalEndPoint;

    /// <summary>Opens the store, resumes the authorities and wires the API; nothing listens yet.</summary>
    /// <exception cref="PlaceException">A folder or file is not fit to hold keys.</exception>
    /// <exception cref="Storage.StoreException">The store cannot be opened.</exception>
    /// <exception cref="AuditException">The audit trail cannot be written.</exception>
    /// <exception cref="Authority.Keys.KeyManagerException">The anchor's key is missing or cannot be used.</exception>
    public static async Task<ServerHost> BuildAsync(ServerConfig config, TimeProvider time, Func<double> chance, ILoggerFactory logs, CancellationToken cancellationToken)
    {
        PrivateFolder.Ensure(config.DataDir);
        var database = SqliteDatabase.Open(config.StorePath, time);
        var upstream = UpstreamFollower.Open(config, time, chance, logs);
        AuditTrail? audit = null;
        try
        {
            audit = await AuditTrail.OpenAsync(
                Path.Combine(config.DataDir, "audit"), config.Audit, new SqliteAuditAnchorStore(database), time, logs.CreateLogger<AuditTrail>(), cancellationToken).ConfigureAwait(false);
            return await BuildAsync(config, database, audit, upstream, time, chance, logs, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await (upstream?.DisposeAsync() ?? ValueTask.CompletedTask).ConfigureAwait(false);
            await (audit?.DisposeAsync() ?? ValueTask.CompletedTask).ConfigureAwait(false);
            await database.DisposeAsync().ConfigureAwait(false);
            throw;
        }
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

        await _database.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task<ServerHost> BuildAsync(
        ServerConfig config, SqliteDatabase database, AuditTrail audit, IUpstream? upstream, TimeProvider time, Func<double> chance, ILoggerFactory logs, CancellationToken cancellationToken)
    {
        foreach (var warning in config.Warnings)
        {
            logs.CreateLogger<ServerHost>().SettingWithoutEffect(warning.ToString());
        }

        // 1. Who signs.
        var authorityStore = new SqliteAuthorityStore(database);
        var isClockPlausible = await authorityStore.LastNotAfterAsync(cancellationToken).ConfigureAwait(false) is not { } last || time.GetUtcNow() <= last + LongestAbsence;
        IKeyManager keys = config.Authority.HasVolatileKeys ? new MemoryKeyManager() : new DiskKeyManager(Path.Combine(config.DataDir, "keys"));
        var ledger = await authorityStore.LoadAsync(cancellationToken).ConfigureAwait(false);
        if (config.Authority.HasVolatileKeys && ledger.Records.Length > 0)
        {
            logs.CreateLogger<ServerHost>().VolatileKeysLost(ledger.Records.Length);
            ledger = AuthorityLedger.Empty;
        }

        var external = upstream is null ? null : await UpstreamFollower.FirstAsync(upstream, ledger, logs.CreateLogger<UpstreamFollower>(), cancellationToken).ConfigureAwait(false);
        var authorities = await AuthorityRotation.ResumeAsync(config.Authority, keys, authorityStore, time, cancellationToken, external).ConfigureAwait(false);
        var metrics = new ServerMetrics();
        var issuer = new SvidIssuer(authorities, authorityStore, time, metrics.SigningFailed);
        var identity = new ServerIdentity(config.TrustDomain, authorities, issuer, config.X509Ttl, time, chance);
        await identity.RenewIfDueAsync(cancellationToken).ConfigureAwait(false);

        // 2. Who may have what, here and elsewhere.
        var bundleChanges = new ChangeSignal(time);
        var federation = await TrustFederation.LoadAsync(config, database, authorities, bundleChanges, time, logs, cancellationToken).ConfigureAwait(false);
        var agentStore = new SqliteAgentStore(database);
        var agents = await AgentDirectory.LoadAsync(agentStore, cancellationToken).ConfigureAwait(false);
        var entries = await EntryDirectory.LoadAsync(
            config.TrustDomain, new SqliteEntryStore(database), config.SelectorTypes, federation.Knows, time, cancellationToken).ConfigureAwait(false);
        entries.IsAuthorityName = name => authorities.Current.IsAuthorityName(name);
        agents.Changed = agent => entries.Watchers.Wake([agent]);
        var authorized = new AuthorizedEntries(config.TrustDomain, entries, agents, time);
        var tokens = new JoinTokens(config.TrustDomain, agentStore, time);

        // 3. Who is told.
        metrics.Observe(authorities, entries, agents, time);
        var pushes = new PushMetrics(time);
        var collector = new MetricsCollector();
        metrics.BeginAtZero();
        var care = new AuthorityCare(config, authorities, authorityStore, identity, agents, bundleChanges, upstream, metrics, time, logs);
        var readiness = new ReadinessBoard("authority");
        var limits = new CallLimits(config.Limits, time);
        var gate = new CallerGate(agents, entries, authorities, config.Access, NativeUser.EffectiveId(), limits, new CallAudit(audit, time), care.Acknowledgements.Fetches, metrics, time, logs.CreateLogger<CallerGate>());
        var health = new GrpcHealthService();
        var upkeep = new ServerUpkeep(
            config,
            authorities,
            identity,
            care,
            bundleChanges,
            async (now, stopping) =>
            {
                await agentStore.PruneAsync(now, stopping).ConfigureAwait(false);
                if (config.PurgeAgentsAfter > TimeSpan.Zero && await agents.PurgeAsync(now - config.PurgeAgentsAfter, stopping).ConfigureAwait(false) is var purged and > 0)
                {
                    logs.CreateLogger<ServerUpkeep>().AgentsPurged(purged, DurationText.Format(config.PurgeAgentsAfter));
                }

                await authorityStore.PruneIssuedAsync(now - KeepIssued, stopping).ConfigureAwait(false);
            },
            readiness,
            health,
            isClockPlausible,
            time,
            logs.CreateLogger<ServerUpkeep>());
        var attestors = NodeAttestors.Start(config.Attestation, config.TrustDomain, tokens, time, logs);
        var admission = new NodeAdmission(config.TrustDomain, attestors.All, agents, entries, issuer, config.X509Ttl, metrics, time, logs.CreateLogger<NodeAdmission>());
        var mesh = new MeshPlane(config.Mesh, config.DesiredFolder?.Folder, config.TrustDomain, agents, entries, time, chance, logs);
        var responder = new OcspResponder(authorities, keys, time);
        var tls = new ServerTls(identity, authorities, time, logs.CreateLogger<ServerTls>());
        var api = new ApiEndpoint(
            config,
            tls,
            services => mesh.AddTo(care.AddTo(services, gate.CheckAsync), gate.CheckAsync)
                .Add(AgentApi.Descriptor, AgentApi.BindService(new AgentService(config.TrustDomain, admission, tokens, agents, issuer, config.X509Ttl, care.Acknowledgements, logs.CreateLogger<AgentService>())), gate.CheckAsync)
                .Add(EntryApi.Descriptor, EntryApi.BindService(new EntryService(entries, authorized, time)), gate.CheckAsync)
                .Add(SvidApi.Descriptor, SvidApi.BindService(new SvidService(config, authorities, issuer, new JwtIssuer(authorities, time, config.JwtIssuer, metrics.SigningFailed, config.Authority.JwtAlgorithm), new WitIssuer(authorities, time, metrics.SigningFailed), new DownstreamIssuer(config.Authority, authorities, keys, authorityStore, time), authorized, limits, metrics, time, logs.CreateLogger<SvidService>())), gate.CheckAsync)
                .Add(BundleApi.Descriptor, BundleApi.BindService(new BundleService(config.TrustDomain, federation, entries, care.Acknowledgements.Fetches, logs.CreateLogger<BundleService>())), gate.CheckAsync)
                .Add(TrustDomainApi.Descriptor, TrustDomainApi.BindService(new TrustDomainService(federation, logs.CreateLogger<TrustDomainService>())), gate.CheckAsync)
                .Add(NodeApi.Descriptor, NodeApi.BindService(new NodeService(authorized, entries, agents, authorities, federation.Bundles, bundleChanges, care.Acknowledgements, metrics, pushes, responder, limits, time, logs.CreateLogger<NodeService>())), gate.CheckAsync)
                .Add(RevocationsApi.Descriptor, RevocationsApi.BindService(new RevocationService(authorities, authorityStore.FindLiveAsync, care.Acknowledgements, bundleChanges, time, logs.CreateLogger<RevocationService>())), gate.CheckAsync)
                .Add(LoggerApi.Descriptor, LoggerApi.BindService(new LoggerService(logs as ILogLevels)), gate.CheckAsync)
                .Add(DebugApi.Descriptor, DebugApi.BindService(new DebugService(identity, agents, entries, time)), gate.CheckAsync)
                .Add(AuditApi.Descriptor, AuditApi.BindService(new AuditService(audit)), gate.CheckAsync)
                .Add(Health.Descriptor, Health.BindService(health), gate.CheckAsync)
                .Add(RegistrationApi.Descriptor, RegistrationApi.BindService(new RegistrationService(entries, authorized, agents, time)), gate.CheckAsync)
                .AddReflection(gate.CheckAsync),
            time,
            logs);
        var admin = new AdminEndpoint(config.Metrics, "metrics", [PrometheusText.Route(collector), AdminRoute.Live, AdminRoute.Ready(readiness)], logs);
        var publisher = Publisher.Create(config, identity, federation.Published, authorities, time, chance, logs);
        var ocsp = config.Ocsp is { } where ? new OcspEndpoint(where.Listen, responder, time, logs) : null;
        var desired = config.DesiredFolder is { } folder
            ? new DesiredFolder(entries, folder, new DesiredScope(config.TrustDomain, folder.Cluster), metrics, time, logs.CreateLogger<DesiredFolder>())
            : null;
        BackgroundPart[] loops = [new("upkeep", upkeep.RunAsync), federation.Refreshing];
        return new ServerHost(
            config,
            database,
            audit,
            attestors,
            mesh,
            [federation, entries, agents, authorities, metrics, pushes, collector],
            api,
            admin,
            care,
            publisher,
            ocsp,
            desired,
            desired is null ? loops : [.. loops, new BackgroundPart($"entries of {desired.Folder}", desired.RunAsync)],
            readiness);
    }
}
