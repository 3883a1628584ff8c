using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Signet.Client;
using Signet.Hosting.Admin;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Hosting.Logging;
using Signet.Hosting.Telemetry;
using Signet.Proxy.Admin;
using Signet.Proxy.Authorization;
using Signet.Proxy.Capture;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Handover;
using Signet.Proxy.Listeners;
using Signet.Proxy.Loop;
using Signet.Proxy.Native;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Proxy.Upstreams;
using Signet.Proxy.Upstreams.Health;

namespace Signet.Proxy;

/// <summary>
/// The proxy beside one workload: inbound and outbound listeners, identity, policy, admin. Start it once and stop it once; stopping drains.
/// </summary>
public sealed class ProxyHost : IDaemonPart, IAsyncDisposable
{
    private const string IdentityCondition = "identity";
    private const string PolicyCondition = "policy";
    private static readonly TimeSpan MaintenanceInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LastMoment = TimeSpan.FromSeconds(2);

    private readonly MetricsCollector _collector;
    private readonly ProxyMetrics _metrics = new();
    private readonly IX509Source _source;
    private readonly bool _ownsSource;
    private readonly SpanExporter? _spans;
    private readonly AccessLog _accessLog;
    private readonly IdentityState _identity;
    private readonly PolicyState _policy;
    private readonly TokenKeys _tokenKeys;
    private readonly Authorisers _authorisers;
    private readonly EventLoops _loops;
    private readonly ProxyCore _core;
    private readonly List<Listener> _listeners = [];
    private readonly List<UpstreamPool> _pools = [];
    private readonly List<IDaemonPart> _parts = [];
    private readonly ListeningSockets _sockets = new();
    private readonly Successors? _successors;
    private readonly AdminEndpoint _admin;
    private readonly AdminEndpoint? _readyEndpoint;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _isStopped;

    private ProxyHost(ProxyConfig config, TimeProvider time, ILoggerFactory logs, IX509Source? source, Func<double> chance)
    {
        var logger = logs.CreateLogger("Signet.Proxy");
        _collector = new MetricsCollector(_metrics.Wants);
        _spans = config.Tracing is { } tracing ? new SpanExporter(tracing, config.Workload.ServiceAccount ?? config.Workload.Namespace, _metrics, chance, time, logger) : null;
        _accessLog = new AccessLog(config.AccessLog, _spans, _metrics, logger);
        _ownsSource = source is null;
        _source = source ?? SourceOf(config.Identity, time);
        _identity = new IdentityState(_source, config.Tls, config.Timeouts.UntilHandshake, time, logger);
        _tokenKeys = new TokenKeys(new KeyFetcher(RootsOf(config.TokenKeyRoots)), BundlesOf(config.Identity, time), _metrics, time, chance, logger);
        _loops = new EventLoops(Environment.ProcessorCount, fault => Log.LoopFault(logger, fault));
        _core = new ProxyCore(config, _identity, _loops, new LiveConnections(time), _accessLog, _metrics, _tokenKeys, time, chance, logger);
        _authorisers = new Authorisers(_core);
        _policy = new PolicyState(_core);
        _metrics.Observe(_identity, _core.Connections);
        _metrics.ObserveUpstreams(_core.Upstreams.States);
        _collector.Include(() => _metrics.Traffic.Read(_identity.Current?.Id.Uri));

        var ports = config.Inbound.Select((port, i) => AddInbound(port, $"inbound[{i}].listen")).ToList();
        var services = config.Outbound.Select((service, i) => AddOutbound(service, $"outbound[{i}].listen")).ToList();
        if (config.Capture.Mode != CaptureMode.None)
        {
            AddCapture(config.Capture, ports, services);
        }

        _parts.Add(new BackgroundPart("proxy maintenance", MaintainAsync));
        var pages = new AdminPages(_core, new AdminSubjects(_listeners, ports, services, logs as ILogLevels), _collector, Readiness, BeginDrainAsync);
        _admin = new AdminEndpoint(config.Admin, "admin", pages.All, logs, _sockets.Lend);
        _parts.Add(_admin);
        if (config.Metrics is { } metrics)
        {
            _parts.Add(new AdminEndpoint(metrics, "metrics", pages.ForScrapers, logs, _sockets.Lend));
        }

        if (config.Ready is { } ready)
        {
            _parts.Add(_readyEndpoint = new AdminEndpoint(ready, "ready", pages.ForProbes, logs, _sockets.Lend));
        }

        if (config.Handover is { } path)
        {
            _successors = new Successors(path, _core, _sockets, () => ForEachListenerAsync(listener => listener.PauseAsync()), () => ForEachListenerAsync(listener => listener.ResumeAsync()));
        }

        _identity.Changed = () =>
        {
            RetireTunnels();
            _policy.IdentityChanged();
            Recheck();
        };
        _policy.Changed = Recheck;
        _core.PolicyProblem = () => _policy.Problem;
        _metrics.ObservePolicies(() => _core.Model?.Revision ?? 0, () => _core.Model is not null && _policy.Problem is null);
        _core.WebCredentials.Changed = Recheck;

        // What came before anybody listened was told to nobody.
        _policy.IdentityChanged();
        Recheck();
    }

    /// <summary>Puts a proxy together; nothing listens yet. It follows its identity and policies from now on, so dispose it.</summary>
    /// <param name="config">What a person wrote, checked.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logs">Where it logs.</param>
    /// <param name="source">Its identity; null takes the one that the configuration names. Not disposed.</param>
    /// <param name="chance">Gives numbers from 0 to 1, so that many proxies don't fetch token keys at once; null spreads nothing.</param>
    /// <exception cref="IOException">The policy folder, the mesh settings, the token keys' roots or the access log cannot be opened; the message says which and why.</exception>
    public static ProxyHost Build(
        ProxyConfig config, TimeProvider time, ILoggerFactory logs, IX509Source? source = null, Func<double>? chance = null) =>
        new(config, time, logs, source, chance ?? (() => 0));

    public string Name => "proxy";

    public Task Completion => _completion.Task;

    /// <summary>Ready once there is a valid identity and policies are in force.</summary>
    public ReadinessBoard Readiness { get; } = new(IdentityCondition, PolicyCondition);

    /// <summary>Where the listeners listen, by name; with real ports once started.</summary>
    public IReadOnlyDictionary<string, IPEndPoint> Listening => _listeners.ToDictionary(listener => listener.Name, listener => listener.LocalEndPoint);

    /// <summary>Where the admin endpoint listens; the real port once started.</summary>
    public IPEndPoint AdminEndPoint => _admin.LocalEndPoint;

    /// <summary>Where readiness and probes are served to others; the real port once started. Null when they are not.</summary>
    public IPEndPoint? ReadyEndPoint => _readyEndpoint?.LocalEndPoint;

    /// <summary>Completes when another process has taken over: this one is to be stopped, and takes its time. Null when nobody can.</summary>
    public Task? Succeeded => _successors?.Succeeded;

    /// <summary>Tells where a captured connection was going; the kernel, unless a test has another to ask.</summary>
    internal Func<LoopSocket, CaptureMode, IPEndPoint?> AskKernel { get; set; } = OriginalDestination.Of;

    /// <summary>The connections of this moment.</summary>
    public LiveConnections Connections => _core.Connections;

    /// <summary>The services that are called and how their endpoints are doing, at this moment.</summary>
    public IReadOnlyList<UpstreamState> Upstreams => _core.Upstreams.States();

    /// <summary>The policies in force at this moment; null while policies or trust domain are unknown, and then nothing is let in.</summary>
    public ProxyModel? Model => _core.Model;

    /// <summary>Starts; where another process serves already and the configuration names the way to it, in that one's place once this one is ready.</summary>
    /// <exception cref="HandoverException">The other process goes on instead of this one.</exception>
    /// <exception cref="CannotListenException">A place where it should listen is not to be had.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        // 1. Every place is taken before anything is accepted anywhere.
        using var predecessor = _core.Config.Handover is { } path
            ? await Predecessor.FindAsync(path, _sockets, _core.Time, _core.Logger, cancellationToken).ConfigureAwait(false)
            : null;
        _listeners.ForEach(listener => listener.Bind());

        // 2. Whoever asks the admin endpoint meanwhile is to hear of a proxy that serves.
        if (predecessor is not null)
        {
            await predecessor.UntilReadyAsync(_ready.Task, _core.Config.Timeouts.Handover, cancellationToken).ConfigureAwait(false);
            Readiness.Set(DaemonHost.ReadinessName, Hosting.Admin.Readiness.Ready);
        }

        foreach (var part in _parts)
        {
            await StartAsync(part, cancellationToken).ConfigureAwait(false);
        }

        // 3. From one moment to the next: the other accepts no more, this one begins.
        if (predecessor is not null)
        {
            await predecessor.TakeOverAsync(cancellationToken).ConfigureAwait(false);
        }

        foreach (var listener in _listeners)
        {
            await StartAsync(listener, cancellationToken).ConfigureAwait(false);
        }

        if (predecessor is not null)
        {
            await predecessor.ServingAsync(cancellationToken).ConfigureAwait(false);
            _metrics.HandedOver("taken");
            Log.TookOver(_core.Logger, predecessor.Pid);
        }

        _successors?.Start();
        foreach (var place in _sockets.CloseUnclaimed())
        {
            Log.PlaceLeft(_core.Logger, place.ToString()!);
        }
    }

    /// <summary>Takes no new connections, waits until those under way have ended or the token fires, closes what is left, and stops.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _isStopped, 1) != 0)
        {
            return;
        }

        await BeginDrainAsync().ConfigureAwait(false);
        try
        {
            await ForEachListenerAsync(listener => listener.StopAsync(cancellationToken)).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Log.DrainCutShort(_core.Logger, _core.Connections.Count);
            _core.Connections.CloseAll(RefusalReason.Draining, "the proxy stops and the connection did not end in time");
            await ForEachListenerAsync(listener => listener.StopAsync(CancellationToken.None)).ConfigureAwait(false);
        }

        // Nobody has to be waited for here: a client of the admin endpoint that says nothing must not keep the proxy from ending.
        using var moment = new CancellationTokenSource(LastMoment, _core.Time);
        foreach (var part in Enumerable.Reverse(_parts))
        {
            await part.StopAsync(moment.Token).ConfigureAwait(false);
        }

        await ReleaseAsync().ConfigureAwait(false);
        _completion.TrySetResult();
    }

    /// <summary>Stops at once.</summary>
    public async ValueTask DisposeAsync() => await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);

    /// <summary>A part that fails fails the proxy: without its deadlines or its listeners it must not go on as if nothing were.</summary>
    private async Task StartAsync(IDaemonPart part, CancellationToken cancellationToken)
    {
        await part.StartAsync(cancellationToken).ConfigureAwait(false);
        _ = part.Completion.ContinueWith(
            ended => _completion.TrySetException(ended.Exception!.InnerExceptions), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task ForEachListenerAsync(Func<Listener, Task> action)
    {
        foreach (var listener in _listeners)
        {
            await action(listener).ConfigureAwait(false);
        }
    }

    private static IX509Source SourceOf(IdentityConfig identity, TimeProvider time) => identity switch
    {
        IdentityConfig.Files files => new X509FileSource(files.Certificate, files.Key, files.Roots, time),
        IdentityConfig.Socket socket => new X509Source(socket.Address, time),
        _ => throw new ArgumentOutOfRangeException(nameof(identity)),
    };

    private static Func<IJwtBundleSource>? BundlesOf(IdentityConfig identity, TimeProvider time) =>
        identity is IdentityConfig.Socket socket ? () => new JwtBundleSource(socket.Address, time) : null;

    private static X509Certificate2Collection? RootsOf(string? path)
    {
        if (path is null)
        {
            return null;
        }

        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPem(FileSet.Of(path).Read()[0].Text);
        }
        catch (CryptographicException e)
        {
            throw new PlaceException("file", path, "holds no certificates in PEM form", e);
        }

        return roots.Count > 0 ? roots : throw new PlaceException("file", path, "holds no certificates in PEM form");
    }

    private InboundRoute AddInbound(InboundConfig port, string option)
    {
        var pool = new UpstreamPool(new AppDialer(port.App, port.Protocol, preface: default, _core), _core);
        _pools.Add(pool);
        if (port.Listen is { } listen)
        {
            _listeners.Add(new Listener(port.Name, option, listen, Direction.Inbound, _core, _sockets, (socket, live) => new InboundConnection(port, pool, _authorisers, _core, socket, live).RunAsync()));
        }

        return new InboundRoute(port, pool);
    }

    private OutboundRoute AddOutbound(OutboundConfig service, string option)
    {
        var route = RouteTo(service);
        if (service.Listen is { } listen)
        {
            _listeners.Add(new Listener(service.Name, option, listen, Direction.Outbound, _core, _sockets, (socket, live) => new OutboundConnection(service, route.Pool, route.Dialer, _core, socket, live).RunAsync()));
        }

        return route;
    }

    private OutboundRoute RouteTo(OutboundConfig service)
    {
        var dialer = new MeshDialer(service, _core);
        var pool = new UpstreamPool(dialer, _core);
        _pools.Add(pool);
        if (service.HealthCheck is { } check)
        {
            _parts.Add(new BackgroundPart($"health of {service.Name}", new HealthProber(dialer, check, _core).RunAsync));
        }

        return new OutboundRoute(service, dialer, pool);
    }

    /// <summary>Captured connections arrive at one port per direction, in each address family of the machine.</summary>
    private void AddCapture(CaptureConfig capture, IReadOnlyList<InboundRoute> ports, IReadOnlyList<OutboundRoute> services)
    {
        var byPort = ports.GroupBy(route => route.Port.Port).ToDictionary(same => same.Key, same => same.First());
        var table = new OutboundTable(services.Select(route => route.Service), capture.PassThrough);
        var routes = table.Services.Except(services.Select(route => route.Service)).Select(RouteTo).Concat(services).ToDictionary(route => route.Service);
        var traffic = new CapturedTraffic(_core, _authorisers, byPort, routes, table, IsOwn, (socket, mode) => AskKernel(socket, mode));
        foreach (var family in CaptureFamilies.OfThisMachine)
        {
            var (isV6, suffix) = family == AddressFamily.InterNetworkV6 ? (true, "-v6") : (false, "");
            _listeners.Add(new Listener(
                "captured-inbound" + suffix, "capture.inbound", new IPEndPoint(isV6 ? IPAddress.IPv6Any : IPAddress.Any, capture.Inbound.Port), Direction.Inbound, _core, _sockets, traffic.ServeInboundAsync,
                isTransparent: capture.Mode == CaptureMode.Tproxy));
            _listeners.Add(new Listener(
                "captured-outbound" + suffix, "capture.outbound", new IPEndPoint(isV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback, capture.Outbound.Port), Direction.Outbound, _core, _sockets, traffic.ServeOutboundAsync));
        }
    }

    /// <summary>Whether one of the listeners is at that place.</summary>
    private bool IsOwn(IPEndPoint place) => _listeners.Any(listener =>
        listener.LocalEndPoint is var own && own.Port == place.Port && (own.Address.Equals(place.Address) || own.Address.Equals(IPAddress.Any) || own.Address.Equals(IPAddress.IPv6Any)));

    /// <summary>
    /// No new connections; those that wait for a request end now, the others after their last byte. After a handover nobody is in a hurry:
    /// one that waits may have a request on its way, and ends with the answer.
    /// </summary>
    private async Task BeginDrainAsync()
    {
        Log.Draining(_core.Logger, _core.Connections.Count);
        var wasSucceeded = _successors is { Succeeded.IsCompleted: true };
        if (_successors is not null)
        {
            await _successors.DisposeAsync().ConfigureAwait(false);
        }

        if (wasSucceeded)
        {
            await Task.WhenAll(_parts.OfType<AdminEndpoint>().Select(endpoint => endpoint.StopAcceptingAsync())).ConfigureAwait(false);
        }

        await _core.DrainAsync(endIdle: !wasSucceeded).ConfigureAwait(false);
        await ForEachListenerAsync(listener => listener.StopAcceptingAsync()).ConfigureAwait(false);
        if (!wasSucceeded)
        {
            Readiness.Set(DaemonHost.ReadinessName, Hosting.Admin.Readiness.NotReady("draining"));
            _core.Connections.CloseIdle(RefusalReason.Draining, "the proxy drains");
        }
    }

    private async Task MaintainAsync(CancellationToken cancellationToken)
    {
        var ebb = new Ebb();
        using var timer = new PeriodicTimer(MaintenanceInterval, _core.Time);
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
        {
            _core.Connections.Sweep();
            _identity.Sweep();
            ShowReadiness();
            _tokenKeys.FetchWhatIsDue();
            await _core.WebCredentials.SweepAsync().ConfigureAwait(false);
            _core.Upstreams.Sweep();
            foreach (var pool in _pools)
            {
                await pool.SweepAsync().ConfigureAwait(false);
            }

            foreach (var tunnels in _core.Tunnels)
            {
                tunnels.Sweep();
            }

            // Without work nothing would ever be collected, and the heaps stay as large as they were at the flood.
            if (ebb.HasCome(_core.Connections.Count, GC.GetTotalAllocatedBytes(), GC.GetGCMemoryInfo().HeapSizeBytes))
            {
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                Libc.Trim();
            }
        }
    }

    /// <summary>New connections go through sessions of the new identity; those in older ones live on.</summary>
    private void RetireTunnels()
    {
        var current = _identity.Current;
        foreach (var tunnels in _core.Tunnels)
        {
            tunnels.Retire(key => !ReferenceEquals(key.Identity, current));
        }
    }

    /// <summary>Something that decisions rest on has changed: ask every live connection again.</summary>
    private void Recheck()
    {
        ShowReadiness();
        _core.Connections.RecheckAll();
    }

    private void ShowReadiness()
    {
        var hasIdentity = _identity.TryUse(out _, out var reason, out var detail);
        Readiness.Set(IdentityCondition, hasIdentity ? new Readiness(true, _identity.Problem ?? "ok") : Hosting.Admin.Readiness.NotReady($"{reason}: {detail}"));
        Readiness.Set(PolicyCondition, _core.Model is not { } model
            ? Hosting.Admin.Readiness.NotReady(_core.WhyNoModel)
            : new Readiness(true, _policy.Problem ?? model.Complaint ?? "ok"));
        if (hasIdentity && _core.Model is not null)
        {
            _ready.TrySetResult();
        }
    }

    private async ValueTask ReleaseAsync()
    {
        foreach (var pool in _pools)
        {
            await pool.DisposeAsync().ConfigureAwait(false);
        }

        _authorisers.Dispose();
        await _core.DisposeAsync().ConfigureAwait(false);
        await _loops.DisposeAsync().ConfigureAwait(false);
        _sockets.Dispose();
        await _policy.DisposeAsync().ConfigureAwait(false);
        await _tokenKeys.DisposeAsync().ConfigureAwait(false);
        _identity.Dispose();
        if (_ownsSource)
        {
            await ((IAsyncDisposable)_source).DisposeAsync().ConfigureAwait(false);
        }

        await _accessLog.DisposeAsync().ConfigureAwait(false);
        if (_spans is not null)
        {
            await _spans.DisposeAsync().ConfigureAwait(false);
        }

        _metrics.Dispose();
        _collector.Dispose();
    }
}
