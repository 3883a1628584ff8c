using Signet.Hosting.Configuration;

namespace Signet.Proxy.Config;

/// <summary>How many HTTP requests a port takes.</summary>
/// <param name="RequestsPerSecond">In the long run.</param>
/// <param name="Burst">At once, after a rest.</param>
public sealed record RateLimitConfig(int RequestsPerSecond, int Burst)
{
    private const int Most = 10_000_000;

    /// <returns>Null when there is none.</returns>
    internal static RateLimitConfig? Read(ConfigSection section, AppProtocol protocol)
    {
        if (!section.IsPresent)
        {
            return null;
        }

        if (protocol == AppProtocol.Tcp)
        {
            section.Problem("requestsPerSecond", "counts HTTP requests, of which a tcp port has none; remove rateLimit");
        }

        var rate = section.Integer("requestsPerSecond", 1, Most);
        if (rate is null && section.Shape("requestsPerSecond") == ConfigShape.Absent)
        {
            section.Problem("requestsPerSecond", "is missing; write how many requests are taken, such as 100");
        }

        return new(rate ?? 1, section.Integer("burst", 1, Most) ?? rate ?? 1);
    }
}
