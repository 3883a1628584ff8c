using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Signet.Proxy.Authorization;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.Loop;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Proxy.Tls.Web;
using Signet.Proxy.Tunnel;
using Signet.Proxy.Upstreams;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy;

/// <summary>What every connection's owner works with.</summary>
internal sealed class ProxyCore(
    ProxyConfig config, IdentityState identity, EventLoops loops, LiveConnections connections, AccessLog accessLog, ProxyMetrics metrics, TokenKeys tokenKeys, TimeProvider time, Func<double> chance, ILogger logger) : IAsyncDisposable
{
    private ProxyModel? _model;
    private readonly CancellationTokenSource _draining = new();
    private readonly FrozenDictionary<EventLoop, TunnelPool> _tunnels = loops.All.ToFrozenDictionary(loop => loop, _ => new TunnelPool(new TunnelOptions { Http2 = new() { Time = time } }));

    public ProxyConfig Config => config;

    public IdentityState Identity => identity;

    public EventLoops Loops => loops;

    public LiveConnections Connections => connections;

    public AccessLog AccessLog => accessLog;

    public ProxyMetrics Metrics => metrics;

    public TokenKeys TokenKeys => tokenKeys;

    public TimeProvider Time => time;

    public ILogger Logger => logger;

    public Func<double> Chance => chance;

    /// <summary>The services that are called, and how they are doing.</summary>
    public UpstreamRegistry Upstreams { get; } = new(time, chance);

    /// <summary>The ports that take only so many requests.</summary>
    public RateLimits RateLimits { get; } = new(config, time);

    /// <summary>What DestinationRules name by files.</summary>
    public WebCredentials WebCredentials { get; } = new(config.Tls, time, logger);

    /// <summary>Turns for handshakes with peers that connect.</summary>
    public HandshakeTurns InboundHandshakes { get; } = new(config.Limits.Handshakes, time);

    /// <summary>Turns for handshakes with services, apart from the others: a flood at the door does not keep the workload from calling out.</summary>
    public HandshakeTurns OutboundHandshakes { get; } = new(config.Limits.Handshakes, time);

    /// <summary>The current policies; null until policies and trust domain are both known, and then nothing is let in.</summary>
    public ProxyModel? Model
    {
        get => Volatile.Read(ref _model);
        set => Volatile.Write(ref _model, value);
    }

    /// <summary>Why there is no model, or the newest policies are not in it; null when all is well. Set once, before the first connection.</summary>
    public Func<string?> PolicyProblem { get; set; } = () => null;

    /// <summary>What is missing when there is no model.</summary>
    public string WhyNoModel => $"no policy is in force yet: {PolicyProblem() ?? "the trust domain is not known before the first SVID"}";

    /// <summary>Whether connections should end as soon as what is on them has ended.</summary>
    public bool IsDraining => _draining.IsCancellationRequested;

    /// <summary>Whether connections that wait for a request should end at once.</summary>
    public bool EndsIdle { get; private set; }

    /// <summary>Cancelled when the drain begins.</summary>
    public CancellationToken Draining => _draining.Token;

    /// <summary>The tunnels whose sessions live on a loop.</summary>
    public TunnelPool TunnelsOn(EventLoop loop) => _tunnels[loop];

    public IEnumerable<TunnelPool> Tunnels => _tunnels.Values;

    /// <summary>What a connection that has ended moved and how long it took, in its record and in the metrics.</summary>
    public void Note(AccessRecord record, LiveConnection live, long started)
    {
        (record.BytesReceived, record.BytesSent) = (live.Received, live.Sent);
        record.Duration = time.GetElapsedTime(started);
        metrics.Closed(live, record);
    }

    /// <summary>From now on nothing new begins.</summary>
    public Task DrainAsync(bool endIdle)
    {
        EndsIdle = endIdle;
        return _draining.CancelAsync();
    }

    /// <summary>Breaks what tunnels are left, and watches no files any more.</summary>
    public async ValueTask DisposeAsync()
    {
        await WebCredentials.DisposeAsync().ConfigureAwait(false);
        foreach (var tunnels in _tunnels.Values)
        {
            await tunnels.DisposeAsync().ConfigureAwait(false);
        }

        InboundHandshakes.Dispose();
        OutboundHandshakes.Dispose();
        _draining.Dispose();
    }
}
