using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.L7;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>The requests of the workload to a service: those of an HTTP/1 connection one after the other, or the one of an HTTP/2 stream.</summary>
internal sealed class OutboundRequests(OutboundConnection connection, ProxyCore core, LiveConnection life) : IHttpRole
{
    private readonly object _era = connection.Era;

    public UpstreamPool Pool => connection.Pool;

    public AccessRecord NewRecord() => connection.NewRecord();

    public IHttpRole ForStream(LiveConnection stream) => new OutboundRequests(connection, core, stream);

    /// <summary>The destination decides; this side only takes away what is not the application's to say.</summary>
    public ValueTask<Ruling> JudgeAsync(RequestHead head, List<KeyValuePair<string, string>> fields, AccessRecord record)
    {
        connection.Hop.Apply(head.Headers, head.Host, record.Version!, fields, record);
        return ValueTask.FromResult(core.RateLimits.Judge(connection.RateLimit, record) ?? new Ruling(new Forwarding(Clearance.Outbound, head.Path, fields, []), null));
    }

    /// <summary>A stream may last for hours. Its server was judged a moment ago; again only if something has changed since.</summary>
    public void Reached(TlsSession? server)
    {
        if (server is not null)
        {
            life.RestOn(server);
            life.KeepAsking(() => connection.CheckTrust(server.Peer), askNow: !ReferenceEquals(connection.Era, _era));
        }
    }

    /// <summary>A tunnel through a pooled connection lasts as long as its server is believed; the destination asks its own policy.</summary>
    public void KeepAsking(TlsSession? upstream, bool isTunnel)
    {
        life.RestOn(upstream);
        life.KeepAsking(upstream is null ? null : () => connection.CheckTrust(upstream.Peer));
    }

    public void Dispose()
    {
    }
}
