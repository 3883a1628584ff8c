using Signet.Hosting.Configuration;

namespace Signet.Agent.Identities;

/// <summary>How much the agent keeps, in memory and on its disk.</summary>
public sealed record CacheConfig
{
    /// <summary>So many SVIDs are held at most. While a node has more entries, only those that workloads use get one.</summary>
    public int Svids { get; init; } = 10_000;

    /// <summary>The SVIDs that are held take so many bytes at most.</summary>
    public long Bytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Whether what is served is kept on the disk, sealed, so that a restart needs no server.</summary>
    public bool Disk { get; init; } = true;

    /// <summary>What was last confirmed by a server longer ago is not served after a restart.</summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromDays(7);

    /// <summary>Reads every key; problems are collected by the section.</summary>
    public static CacheConfig Read(ConfigSection section)
    {
        var defaults = new CacheConfig();
        return new CacheConfig
        {
            Svids = section.Integer("svids", defaults.Svids, min: 1, max: 1_000_000),
            Bytes = section.Size("bytes", defaults.Bytes),
            Disk = section.Flag("disk", defaults.Disk),
            MaxAge = section.Duration("maxAge", defaults.MaxAge, min: TimeSpan.FromMinutes(1)),
        };
    }
}
