using System.Net;
using Signet.Hosting.Configuration;
using Signet.Proxy.Capture;

namespace Signet.Proxy.Config;

/// <summary>Where captured connections arrive, and what becomes of those to places that nobody listed.</summary>
public sealed record CaptureConfig
{
    private const string DefaultInbound = "0.0.0.0:15006";
    private const string DefaultOutbound = "127.0.0.1:15001";

    public CaptureMode Mode { get; init; } = CaptureMode.None;

    /// <summary>Where the rules lead inbound connections. A wildcard address means both families.</summary>
    public IPEndPoint Inbound { get; init; } = IPEndPoint.Parse(DefaultInbound);

    /// <summary>Where the rules lead outbound connections. A loopback address means both families.</summary>
    public IPEndPoint Outbound { get; init; } = IPEndPoint.Parse(DefaultOutbound);

    /// <summary>Whether a captured connection to a place that is no configured service goes there as it is. Otherwise it is refused.</summary>
    public bool PassThrough { get; init; }

    internal static CaptureConfig Read(ConfigSection section)
    {
        var config = new CaptureConfig
        {
            Mode = section.Choice("mode", CaptureMode.None, ("none", CaptureMode.None), ("redirect", CaptureMode.Redirect), ("tproxy", CaptureMode.Tproxy)),
            Inbound = section.ListenEndPoint("inbound", DefaultInbound),
            Outbound = section.ListenEndPoint("outbound", DefaultOutbound),
            PassThrough = section.Choice("unmatched", false, ("refuse", false), ("passthrough", true)),
        };
        if (!IsAny(config.Inbound.Address))
        {
            section.Problem("inbound", $"{config.Inbound} is one address of several at which captured connections arrive; write 0.0.0.0:{config.Inbound.Port}");
        }

        if (!IPAddress.IsLoopback(config.Outbound.Address))
        {
            section.Problem("outbound", $"{config.Outbound} can be reached from other machines, which could then send as this workload; write 127.0.0.1:{config.Outbound.Port}");
        }

        return config;
    }

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
}
