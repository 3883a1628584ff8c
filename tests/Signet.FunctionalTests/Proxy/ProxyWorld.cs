using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Signet.Client;
using Signet.Hosting.Logging;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Policy;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>One proxy on real sockets with its own identity, policy folder and access log; what a test is about, it changes.</summary>
internal sealed class ProxyWorld : IAsyncDisposable, ILoggerFactory, ILogger, ILogLevels
{
    public const string Strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: mesh, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n";
    public const string Permissive = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: mesh, namespace: istio-system}\nspec: {mtls: {mode: PERMISSIVE}}\n";
    public const string Disable = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: mesh, namespace: istio-system}\nspec: {mtls: {mode: DISABLE}}\n";

    public const string PlaintextToOrders =
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: orders, namespace: default}\nspec: {host: orders.default.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}\n";

    private readonly TestFolder _folder = new();

    private readonly ConcurrentQueue<string> _defects = [];
    private readonly ConcurrentQueue<string?> _events = [];
    private readonly List<ProxyHost> _others = [];
    private ProxyConfig _config = null!;

    private ProxyWorld(TestAuthority authority, TestIdentity identity) => (Authority, Identity) = (authority, identity);

    public TestAuthority Authority { get; }

    public TestIdentity Identity { get; }

    public ProxyHost Proxy { get; private set; } = null!;

    public IPEndPoint Inbound => Proxy.Listening.First(listener => listener.Key.StartsWith("inbound", StringComparison.Ordinal)).Value;

    public IPEndPoint Outbound => Proxy.Listening.First(listener => listener.Key.StartsWith("outbound", StringComparison.Ordinal)).Value;

    public HttpClient Admin { get; } = new();

    /// <summary>A sidecar of orders in namespace default, with one inbound port to the application.</summary>
    public static Task<ProxyWorld> InboundAsync(
        EndPoint app, string policy, AppProtocol protocol = AppProtocol.Http, TestAuthority? authority = null, X509Context? identity = null, bool withoutIdentity = false,
        Func<ProxyConfig, ProxyConfig>? change = null, TimeProvider? time = null) =>
        StartAsync(
            "orders", policy, authority, identity, withoutIdentity, time,
            config => (change ?? (c => c))(config with { Inbound = [new InboundConfig("inbound-8080", new IPEndPoint(IPAddress.Loopback, 0), 8080, protocol, app)] }));

    /// <summary>A sidecar of web in namespace default, with one outbound service at the endpoints.</summary>
    public static Task<ProxyWorld> OutboundAsync(
        EndPoint[] endpoints, TestAuthority authority, AppProtocol protocol = AppProtocol.Http, string policy = "", X509Context? identity = null, bool withoutIdentity = false,
        string[]? serverIdentities = null, Func<ProxyConfig, ProxyConfig>? change = null, TimeProvider? time = null) =>
        StartAsync(
            "web", policy, authority, identity, withoutIdentity, time,
            config => (change ?? (c => c))(config with
            {
                Outbound =
                [
                    new OutboundConfig(
                        "outbound-orders:8080", new IPEndPoint(IPAddress.Loopback, 0), "orders.default.svc.cluster.local", 8080, protocol, endpoints,
                        (serverIdentities ?? []).Select(SpiffeId.Parse).ToHashSet()),
                ],
            }));

    /// <summary>The proxy's identity of this moment beside a list of its authority that names these certificates.</summary>
    public X509Context Revoking(params Certificate[] certificates) =>
        new(Identity.Current!.Svids, Identity.Current.Bundles.WithCrls([Authority.Revoke(certificates)]));

    /// <summary>Where this world's proxies hand over to each other.</summary>
    public string HandoverPath => _config.Handover!;

    /// <summary>Names of what was logged, in order.</summary>
    public IReadOnlyCollection<string?> Events => _events;

    /// <summary>Another proxy of the same configuration, with the ports that this one got; not started.</summary>
    public ProxyHost Next(Func<ProxyConfig, ProxyConfig>? change = null, IX509Source? identity = null)
    {
        var config = _config with
        {
            Inbound = [.. _config.Inbound.Select(port => port with { Listen = Proxy.Listening[port.Name] })],
            Outbound = [.. _config.Outbound.Select(service => service with { Listen = Proxy.Listening[service.Name] })],
            Admin = Proxy.AdminEndPoint,
            Ready = Proxy.ReadyEndPoint,
        };
        _others.Add(ProxyHost.Build((change ?? (c => c))(config), TimeProvider.System, this, identity ?? Identity));
        return _others[^1];
    }

    /// <summary>Another proxy takes the place of this one, which then drains.</summary>
    /// <returns>The one before, and its end.</returns>
    public async Task<(ProxyHost Before, Task Drained)> SucceedAsync(Func<ProxyConfig, ProxyConfig>? change = null)
    {
        var (before, next) = (Proxy, Next(change));
        await next.StartAsync(CancellationToken.None);
        await before.Succeeded!.WaitAsync(TimeSpan.FromSeconds(30));
        _others.Add(before);
        Proxy = next;
        return (before, before.StopAsync(CancellationToken.None));
    }

    public void SetPolicy(string text, string name = "policy.yaml")
    {
        var file = Path.Combine(_folder.File("policy"), name);
        File.WriteAllText(file + ".new", text);
        File.Move(file + ".new", file, overwrite: true);
    }

    public void RemovePolicy(string name) => File.Delete(Path.Combine(_folder.File("policy"), name));

    public void RemovePolicyFolder() => Directory.Delete(_folder.File("policy"), recursive: true);

    /// <summary>The access log so far.</summary>
    public IReadOnlyList<JsonElement> Log()
    {
        using var stream = new FileStream(LogPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n')[..^1].Select(line => JsonDocument.Parse(line).RootElement)];
    }

    /// <summary>Waits for a line.</summary>
    public async Task<JsonElement> LoggedAsync(Func<JsonElement, bool> isWanted, string what)
    {
        JsonElement found = default;
        await Eventually.IsTrueAsync(() => (found = Log().FirstOrDefault(isWanted)).ValueKind == JsonValueKind.Object, what);
        return found;
    }

    /// <summary>Waits for a line about a refusal; the flag names its reason, in the log of HTTP and TCP alike.</summary>
    public Task<JsonElement> RefusedAsync(RefusalReason reason) => LoggedAsync(line => Flag(line) == reason.ToString(), $"a line about {reason} among: {string.Join("\n", Log())}");

    public static string? Flag(JsonElement line) => line.GetProperty("response").GetProperty("flag").GetString();

    public async Task<JsonElement> AdminAsync(string path) =>
        JsonDocument.Parse(await (await Admin.GetAsync(new Uri($"http://{Proxy.AdminEndPoint}{path}"))).Content.ReadAsStringAsync()).RootElement;

    /// <summary>A connection that ended by a defect fails the test, whatever the test was about.</summary>
    public async ValueTask DisposeAsync()
    {
        await Proxy.DisposeAsync();
        foreach (var other in _others)
        {
            await other.DisposeAsync();
        }

        Admin.Dispose();
        _folder.Dispose();
        Assert.Equal("", string.Join("\n", _defects));
    }

    LogLevel ILogLevels.Configured => LogLevel.Information;

    LevelChange? ILogLevels.Change { get; set; }

    ILogger ILoggerFactory.CreateLogger(string categoryName) => this;

    void ILoggerFactory.AddProvider(ILoggerProvider provider)
    {
    }

    void IDisposable.Dispose()
    {
    }

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        _events.Enqueue(eventId.Name);
        if (exception is not null && logLevel >= LogLevel.Error)
        {
            _defects.Enqueue($"{formatter(state, exception)}: {exception}");
        }
    }

    private string LogPath => _folder.File("access.log");

    private static async Task<ProxyWorld> StartAsync(
        string account, string policy, TestAuthority? authority, X509Context? identity, bool withoutIdentity, TimeProvider? time, Func<ProxyConfig, ProxyConfig> change)
    {
        authority ??= new TestAuthority(DateTimeOffset.UtcNow);
        var world = new ProxyWorld(authority, new TestIdentity(withoutIdentity ? null : identity ?? authority.Context($"/ns/default/sa/{account}")));
        Directory.CreateDirectory(world._folder.File("policy"));
        world.SetPolicy(policy);
        var config = change(new ProxyConfig
        {
            Workload = new Workload("default", account, new Dictionary<string, string> { ["app"] = account }),
            Identity = new IdentityConfig.Files("unused", "unused", "unused"),
            PolicyFolder = world._folder.File("policy"),
            Admin = new IPEndPoint(IPAddress.Loopback, 0),
            AccessLog = new AccessLogConfig { Path = world.LogPath, Format = AccessLogFormat.Json },
        });
        world._config = config;
        world.Proxy = ProxyHost.Build(config, time ?? TimeProvider.System, world, world.Identity);
        await world.Proxy.StartAsync(CancellationToken.None);
        return world;
    }
}
