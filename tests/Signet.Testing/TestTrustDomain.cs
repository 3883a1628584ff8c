using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent;
using Signet.Agent.Attestation;
using Signet.Agent.Identities;
using Signet.Authority.Rotation;
using Signet.Cli.Clients;
using Signet.Client;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server;
using Signet.Server.Access;
using Signet.Server.Attestation;

namespace Signet.Testing;

/// <summary>A real server and a real agent in this process, on real sockets, in a folder of their own. Either can be stopped and started again.</summary>
public sealed class TestTrustDomain : IAsyncDisposable
{
    public static readonly TrustDomain Name = TrustDomain.Parse("example.org");

    private readonly TestFolder _folder = new();
    private readonly LogOutput _log = new(Stream.Null, new LogConfig(), TimeProvider.System);
    private readonly TimeSpan _svidTtl;
    private readonly TimeSpan _authorityTtl;
    private readonly Func<ServerConfig, ServerConfig> _configure;
    private readonly TimeProvider _time;
    private RunningDaemon? _server;
    private RunningDaemon? _agent;
    private ServerHost? _serverHost;
    private WorkloadApiClient? _client;
    private int _serverPort;

    private TestTrustDomain(
        TrustDomain trustDomain, TimeSpan svidTtl, TimeSpan authorityTtl, Func<ServerConfig, ServerConfig> configure, TimeProvider time) =>
        (TrustDomain, _svidTtl, _authorityTtl, _configure, _time) = (trustDomain, svidTtl, authorityTtl, configure, time);

    public TrustDomain TrustDomain { get; }

    /// <summary>How nodes may prove themselves from the next start of the server on.</summary>
    public AttestationConfig Attestation { get; set; } = new();

    /// <summary>Who may do what from the next start of the server on.</summary>
    public AccessRules Access { get; set; } = AccessRules.Default;

    /// <summary>Changes the agent's configuration, at each of its starts from now on.</summary>
    public Func<AgentConfig, AgentConfig> ConfigureAgent { get; set; } = config => config;

    public string Folder => _folder.Path;

    public string ServerSocket => _folder.File("server.sock");

    public string AgentSocket => _folder.File("agent.sock");

    /// <summary>Where the agent's admin socket is, when it has one.</summary>
    public string AgentAdminSocket => _folder.File("agent-admin.sock");

    public WorkloadApiAddress WorkloadApi => WorkloadApiAddress.TryParse(AgentSocket, out var address, out var problem) ? address : throw new InvalidOperationException(problem);

    /// <summary>The Workload API, as this process sees it.</summary>
    public WorkloadApiClient Client => _client ??= new WorkloadApiClient(WorkloadApi, TimeProvider.System);

    /// <summary>Where the server publishes, when it does.</summary>
    public IPEndPoint HttpEndPoint => _serverHost!.HttpEndPoint!;

    public IPEndPoint ServerEndPoint => _serverHost!.LocalEndPoint;

    /// <summary>The agent's own ID: the parent of entries.</summary>
    public SpiffeId AgentId { get; private set; } = null!;

    internal AgentHost AgentHost { get; private set; } = null!;

    internal ServerHost ServerHost => _serverHost!;

    /// <summary>What the agent was last told by its server.</summary>
    internal NodeView AgentView => AgentHost.View;

    /// <summary>Selectors of the test process itself.</summary>
    public static Selector Myself => new("unix", $"uid:{Hosting.NativeUser.EffectiveId()}");

    /// <param name="svidTtl">An hour by default.</param>
    /// <param name="authorityTtl">A day by default.</param>
    /// <param name="trustDomain">example.org by default.</param>
    /// <param name="configure">Changes the server's configuration, at each of its starts.</param>
    /// <param name="configureAgent">Changes the agent's configuration, at each of its starts.</param>
    /// <param name="time">The clock of server and agent; the system's by default.</param>
    /// <param name="hasAgent">Whether an agent joins; without one there is none to be stopped or asked.</param>
    public static async Task<TestTrustDomain> StartAsync(
        TimeSpan? svidTtl = null,
        TimeSpan? authorityTtl = null,
        string? trustDomain = null,
        Func<ServerConfig, ServerConfig>? configure = null,
        Func<AgentConfig, AgentConfig>? configureAgent = null,
        TimeProvider? time = null,
        bool hasAgent = true)
    {
        var domain = new TestTrustDomain(
            trustDomain is null ? Name : TrustDomain.Parse(trustDomain),
            svidTtl ?? TimeSpan.FromHours(1),
            authorityTtl ?? TimeSpan.FromHours(24),
            configure ?? (config => config),
            time ?? TimeProvider.System)
        {
            ConfigureAgent = configureAgent ?? (config => config),
        };
        await domain.StartServerAsync();
        using var admin = domain.Admin();
        await File.WriteAllTextAsync(domain._folder.File("bundle.pem"), (await admin.BundleAsync(CancellationToken.None)).ToPem());
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(5), alias: null, CancellationToken.None);
        domain.AgentId = token.AgentId;
        if (hasAgent)
        {
            await domain.StartAgentAsync(token.Token);
        }

        return domain;
    }

    internal AdminClient Admin() => new(ServerSocket, _time);

    public async Task<RegistrationEntry> RegisterAsync(string path, params Selector[] selectors)
    {
        using var admin = Admin();
        return await admin.CreateEntryAsync(
            new RegistrationEntry { Id = "", SpiffeId = SpiffeId.Of(TrustDomain, path), ParentId = AgentId, Selectors = [.. selectors.Length > 0 ? selectors : [Myself]] },
            CancellationToken.None);
    }

    public async Task StartServerAsync()
    {
        var config = new ServerConfig
        {
            TrustDomain = TrustDomain,
            Listen = new IPEndPoint(IPAddress.Loopback, _serverPort),
            AdminSocket = ServerSocket,
            Access = Access,
            Attestation = Attestation,
            Metrics = new IPEndPoint(IPAddress.Loopback, 0),
            DataDir = _folder.File("server"),
            StorePath = Path.Combine(_folder.File("server"), "signet.db"),
            X509Ttl = _svidTtl,
            JwtTtl = TimeSpan.FromMinutes(5),
            Authority = new AuthorityPlan { TrustDomain = TrustDomain, IssuingTtl = _authorityTtl },
        };
        _serverHost = await ServerHost.BuildAsync(_configure(config), _time, Random.Shared.NextDouble, _log, CancellationToken.None);
        _server = await RunningDaemon.StartAsync(_serverHost.Parts, _serverHost);
        _serverPort = _serverHost.LocalEndPoint.Port;
    }

    public async Task StopServerAsync()
    {
        await _server!.DisposeAsync();
        _server = null;
    }

    public Task StartAgentAsync(string? joinToken = null) => StartAgentAsync(new AttestorConfig.JoinToken(joinToken is null ? null : new Secret(joinToken)));

    public async Task StartAgentAsync(AttestorConfig attestor)
    {
        AgentHost = BuildAgent("agent", attestor);
        _agent = await RunningDaemon.StartAsync(AgentHost.Parts, AgentHost);
    }

    /// <summary>Another agent beside the first, with a folder and a socket of its own; the caller stops it, and may start it again without a token.</summary>
    public async Task<RunningDaemon> StartOtherAgentAsync(string name, string? joinToken = null)
    {
        var host = BuildAgent(name, new AttestorConfig.JoinToken(joinToken is null ? null : new Secret(joinToken)));
        return await RunningDaemon.StartAsync(host.Parts, host);
    }

    private AgentHost BuildAgent(string name, AttestorConfig attestor) => AgentHost.Build(
        ConfigureAgent(new AgentConfig
        {
            TrustDomain = TrustDomain,
            Server = new DnsEndPoint("127.0.0.1", _serverPort),
            Attestor = attestor,
            BootstrapBundle = _folder.File("bundle.pem"),
            DataDir = _folder.File(name),
            Socket = _folder.File(name + ".sock"),
            Metrics = new IPEndPoint(IPAddress.Loopback, 0),
        }),
        _time,
        Random.Shared.NextDouble,
        NullLoggerFactory.Instance);

    public async Task StopAgentAsync()
    {
        await _agent!.DisposeAsync();
        _agent = null;
    }

    public async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        if (_agent is not null)
        {
            await _agent.DisposeAsync();
        }

        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        await _log.DisposeAsync();
        _folder.Dispose();
    }
}
