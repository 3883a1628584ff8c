using Signet.Hosting.Configuration;
using Signet.Hosting.Limits;

namespace Signet.Server.Limits;

/// <summary>The section <c>limits</c> of server.yaml. Defaults are documented in docs/reference/limits.md.</summary>
public sealed record LimitsConfig
{
    private const int MostPerSecond = 1_000_000;

    /// <summary>Attestations, by address.</summary>
    public Rate Attest { get; init; } = new(PerSecond: 1, Burst: 100);

    /// <summary>Other calls of those who show no certificate, by address.</summary>
    public Rate Strangers { get; init; } = new(PerSecond: 50, Burst: 500);

    /// <summary>Calls of an agent.</summary>
    public Rate Agents { get; init; } = new(PerSecond: 100, Burst: 1_000);

    /// <summary>Calls of an operator: a local user, or a workload.</summary>
    public Rate Operators { get; init; } = new(PerSecond: 500, Burst: 5_000);

    /// <summary>Certificates and tokens that are signed for an agent or a server below; the burst is the identities of a large node, all at once.</summary>
    public Rate Signing { get; init; } = new(PerSecond: 5_000, Burst: 20_000);

    /// <summary>Open connections, on both doors together.</summary>
    public int Connections { get; init; } = 20_000;

    /// <summary>Calls at once on one connection.</summary>
    public int CallsPerConnection { get; init; } = 100;

    /// <summary>The longest request, in bytes.</summary>
    public int RequestSize { get; init; } = 4 * 1024 * 1024;

    public static LimitsConfig Read(ConfigSection limits)
    {
        var usual = new LimitsConfig();
        return new LimitsConfig
        {
            Attest = ReadRate(limits.Section("attest"), usual.Attest),
            Strangers = ReadRate(limits.Section("strangers"), usual.Strangers),
            Agents = ReadRate(limits.Section("agents"), usual.Agents),
            Operators = ReadRate(limits.Section("operators"), usual.Operators),
            Signing = ReadRate(limits.Section("signing"), usual.Signing),
            Connections = limits.Integer("connections", usual.Connections, 10, 1_000_000),
            CallsPerConnection = limits.Integer("callsPerConnection", usual.CallsPerConnection, 4, 10_000),
            RequestSize = ReadSize(limits, usual.RequestSize),
        };
    }

    private static Rate ReadRate(ConfigSection section, Rate usual)
    {
        var rate = new Rate(section.Integer("perSecond", usual.PerSecond, 1, MostPerSecond), section.Integer("burst", usual.Burst, 1, MostPerSecond));
        if (rate.Burst < rate.PerSecond)
        {
            section.Problem("burst", $"burst is {rate.Burst}, less than perSecond, {rate.PerSecond}, which could then never be reached");
        }

        return rate;
    }

    private static int ReadSize(ConfigSection limits, int usual)
    {
        const int Smallest = 64 * 1024, Largest = 64 * 1024 * 1024;
        var size = limits.Size("requestSize", usual);
        if (size is >= Smallest and <= Largest)
        {
            return (int)size;
        }

        limits.Problem("requestSize", $"{SizeText.Format(size)} is not between {SizeText.Format(Smallest)} and {SizeText.Format(Largest)}");
        return usual;
    }
}
