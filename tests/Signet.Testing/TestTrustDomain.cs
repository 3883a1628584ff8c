using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent;
using Signet.Agent.Identities;
using Signet.Authority.Rotation;
using Signet.Cli.Clients;
using Signet.Client;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server;
using Signet.Server.Registration.Desired;

namespace Signet.Testing;

/// <summary>A real server and a real agent in this process, on real sockets, in a folder of their own. Either can be stopped and started again.</summary>
public sealed class TestTrustDomain : IAsyncDisposable
{
    public static readonly TrustDomain Name = TrustDomain.Parse("example.org");

    private readonly TestFolder _folder = new();
    private readonly TimeSpan _svidTtl;
    private readonly TimeSpan _authorityTtl;
    private readonly string? _entries;
    private RunningDaemon? _server;
    private RunningDaemon? _agent;
    private ServerHost? _serverHost;
    private WorkloadApiClient? _client;
    private int _serverPort;

    private TestTrustDomain(TimeSpan svidTtl, TimeSpan authorityTtl, string? entries) => (_svidTtl, _authorityTtl, _entries) = (svidTtl, authorityTtl, entries);

    public string Folder => _folder.Path;

    public string ServerSocket => _folder.File("server.sock");

    public string AgentSocket => _folder.File("agent.sock");

    public WorkloadApiAddress WorkloadApi => WorkloadApiAddress.TryParse(AgentSocket, out var address, out var problem) ? address : throw new InvalidOperationException(problem);

    /// <summary>The Workload API, as this process sees it.</summary>
    public WorkloadApiClient Client => _client ??= new WorkloadApiClient(WorkloadApi, TimeProvider.System);

    public IPEndPoint ServerEndPoint => _serverHost!.LocalEndPoint;

    /// <summary>The agent's own ID: the parent of entries.</summary>
    public SpiffeId AgentId { get; private set; } = null!;

    internal AgentHost AgentHost { get; private set; } = null!;

    /// <summary>What the agent was last told by its server.</summary>
    internal NodeView AgentView => AgentHost.View;

    /// <summary>Selectors of the test process itself.</summary>
    public static Selector Myself => new("unix", $"uid:{Hosting.NativeUser.EffectiveId()}");

    public static async Task<TestTrustDomain> StartAsync(TimeSpan? svidTtl = null, TimeSpan? authorityTtl = null, string? entries = null)
    {
        var domain = new TestTrustDomain(svidTtl ?? TimeSpan.FromHours(1), authorityTtl ?? TimeSpan.FromHours(24), entries);
        await domain.StartServerAsync();
        using var admin = domain.Admin();
        await File.WriteAllTextAsync(domain._folder.File("bundle.pem"), (await admin.BundleAsync(CancellationToken.None)).ToPem());
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(5), alias: null, CancellationToken.None);
        domain.AgentId = token.AgentId;
        await domain.StartAgentAsync(token.Token);
        return domain;
    }

    internal AdminClient Admin() => new(ServerSocket, TimeProvider.System);

    public async Task<RegistrationEntry> RegisterAsync(string path, params Selector[] selectors)
    {
        using var admin = Admin();
        return await admin.CreateEntryAsync(
            new RegistrationEntry { Id = "", SpiffeId = SpiffeId.Of(Name, path), ParentId = AgentId, Selectors = [.. selectors.Length > 0 ? selectors : [Myself]] },
            CancellationToken.None);
    }

    public async Task StartServerAsync()
    {
        var config = new ServerConfig
        {
            TrustDomain = Name,
            Listen = new IPEndPoint(IPAddress.Loopback, _serverPort),
            AdminSocket = ServerSocket,
            AdminUids = [],
            Metrics = new IPEndPoint(IPAddress.Loopback, 0),
            DataDir = _folder.File("server"),
            StorePath = Path.Combine(_folder.File("server"), "signet.db"),
            X509Ttl = _svidTtl,
            JwtTtl = TimeSpan.FromMinutes(5),
            DesiredFolder = _entries is null ? null : new DesiredFolderConfig(_entries, DesiredScope.DefaultCluster, MayDeleteMost: false),
            Authority = new AuthorityPlan { TrustDomain = Name, IssuingTtl = _authorityTtl },
        };
        _serverHost = await ServerHost.BuildAsync(config, TimeProvider.System, Random.Shared.NextDouble, NullLoggerFactory.Instance, CancellationToken.None);
        _server = await RunningDaemon.StartAsync(_serverHost.Parts, _serverHost);
        _serverPort = _serverHost.LocalEndPoint.Port;
    }

    public async Task StopServerAsync() => await _server!.DisposeAsync();

    public async Task StartAgentAsync(string? joinToken = null)
    {
        AgentHost = AgentHost.Build(
            new AgentConfig
            {
                TrustDomain = Name,
                Server = new DnsEndPoint("127.0.0.1", _serverPort),
                JoinToken = joinToken is null ? null : new Secret(joinToken),
                BootstrapBundle = _folder.File("bundle.pem"),
                DataDir = _folder.File("agent"),
                Socket = AgentSocket,
                Metrics = new IPEndPoint(IPAddress.Loopback, 0),
            },
            TimeProvider.System,
            Random.Shared.NextDouble,
            NullLoggerFactory.Instance);
        _agent = await RunningDaemon.StartAsync(AgentHost.Parts, AgentHost);
    }

    public async Task StopAgentAsync() => await _agent!.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        if (_agent is not null)
        {
            await _agent.DisposeAsync();
        }

        await _server!.DisposeAsync();
        _folder.Dispose();
    }
}
