using Signet.Hosting.Configuration;

namespace Signet.Proxy.Config;

/// <summary>How the proxy finds out by itself whether an endpoint is well.</summary>
public sealed record HealthCheckConfig
{
    /// <summary>The path that must answer 200 to 299; null asks for a connection and a handshake only.</summary>
    public string? Path { get; init; }

    /// <summary>From one check of an endpoint to the next.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For one check, connecting included.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>So many failures in a row make an endpoint unhealthy; an answer outside 200 to 299 does at once.</summary>
    public int UnhealthyThreshold { get; init; } = 3;

    /// <summary>So many passes in a row make it healthy again.</summary>
    public int HealthyThreshold { get; init; } = 2;

    /// <summary>Each interval is longer by up to this share, in percent, so that many proxies don't ask at once.</summary>
    public int JitterPercent { get; init; } = 10;

    /// <returns>Null when there is none.</returns>
    internal static HealthCheckConfig? Read(ConfigSection section)
    {
        if (!section.IsPresent)
        {
            return null;
        }

        var (http, tcp) = (section.Section("http"), section.Section("tcp"));
        if (http.IsPresent == tcp.IsPresent)
        {
            section.Problem(http.IsPresent ? "tcp" : "http", http.IsPresent ? "stands beside http; keep one of them" : "is missing, and so is tcp; write http: {path: /healthz} or tcp: {}");
        }

        var path = http.IsPresent ? http.RequiredText("path") : null;
        if (path is { Length: > 0 } && (path[0] != '/' || path.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0))
        {
            http.Problem("path", $"\"{Identity.Spiffe.Printable.Of(path)}\" is not a path, such as /healthz");
        }

        var defaults = new HealthCheckConfig();
        var (shortest, longest) = (TimeSpan.FromMilliseconds(10), TimeSpan.FromDays(1));
        return new()
        {
            Path = path,
            Interval = section.Duration("interval", defaults.Interval, shortest, longest),
            Timeout = section.Duration("timeout", defaults.Timeout, shortest, longest),
            UnhealthyThreshold = section.Integer("unhealthyThreshold", defaults.UnhealthyThreshold, 1, 1000),
            HealthyThreshold = section.Integer("healthyThreshold", defaults.HealthyThreshold, 1, 1000),
            JitterPercent = section.Integer("jitterPercent", defaults.JitterPercent, 0, 100),
        };
    }
}
