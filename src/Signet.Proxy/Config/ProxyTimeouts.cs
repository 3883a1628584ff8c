using Signet.Hosting.Configuration;

namespace Signet.Proxy.Config;

/// <summary>How long the proxy waits for others. Each is checked once a second, so an end may come up to a second late.</summary>
public sealed record ProxyTimeouts
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    /// <summary>For the first bytes of an inbound connection.</summary>
    public TimeSpan Detection { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>For the first byte where the server may be the one that speaks first (tcp and auto ports that take plaintext).</summary>
    public TimeSpan ServerFirst { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>For a TLS handshake, waiting for its turn included.</summary>
    public TimeSpan Handshake { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For a TCP connection to the application or to an endpoint.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>For a whole request head, from its first byte on.</summary>
    public TimeSpan RequestHead { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For the next request on a connection.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>For the next byte of a request or response in flight.</summary>
    public TimeSpan StreamIdle { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>For the next byte of a TCP connection or an upgraded one, in either direction.</summary>
    public TimeSpan TcpIdle { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long an unused connection to the application or an endpoint is kept; shorter than common servers keep theirs.</summary>
    public TimeSpan UpstreamIdle { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>For the process that is to follow this one to become ready.</summary>
    public TimeSpan Handover { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>For connections to end when the proxy stops or another has taken over; what is left then is closed.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a connection may take from its first look at the own identity to the beginning of its handshake.</summary>
    internal TimeSpan UntilHandshake => Detection + Detection + Connect + Handshake;

    /// <summary>For the head of a service's answer to one attempt, from the end of the request; null takes as long as <see cref="Request"/> allows.</summary>
    public TimeSpan? PerTry { get; init; }

    /// <summary>For the head of a service's answer, all attempts included; null waits as long as <see cref="StreamIdle"/> allows.</summary>
    public TimeSpan? Request { get; init; }

    internal static ProxyTimeouts Read(ConfigSection section)
    {
        var defaults = new ProxyTimeouts();
        return new()
        {
            Detection = Of("detection", defaults.Detection),
            ServerFirst = Of("serverFirst", defaults.ServerFirst),
            Handshake = Of("handshake", defaults.Handshake),
            Connect = Of("connect", defaults.Connect),
            RequestHead = Of("requestHead", defaults.RequestHead),
            KeepAlive = Of("keepAlive", defaults.KeepAlive),
            StreamIdle = Of("streamIdle", defaults.StreamIdle),
            TcpIdle = Of("tcpIdle", defaults.TcpIdle),
            UpstreamIdle = Of("upstreamIdle", defaults.UpstreamIdle),
            Handover = Of("handover", defaults.Handover),
            Drain = Of("drain", defaults.Drain),
            PerTry = section.Duration("perTry", min: Shortest, max: Longest),
            Request = section.Duration("request", min: Shortest, max: Longest),
        };

        TimeSpan Of(string key, TimeSpan fallback) => section.Duration(key, fallback, Shortest, Longest);
    }
}
