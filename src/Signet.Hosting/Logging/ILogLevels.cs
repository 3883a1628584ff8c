using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Logging;

/// <summary>A level that counts instead of the configured one.</summary>
/// <param name="Level">The lowest level that is written.</param>
/// <param name="Until">When the configured one counts again.</param>
public sealed record LevelChange(LogLevel Level, DateTimeOffset Until);

/// <summary>How much is logged, for those who may change it while the daemon runs. Thread-safe.</summary>
public interface ILogLevels
{
    /// <summary>The level that the configuration names.</summary>
    LogLevel Configured { get; }

    /// <summary>What counts instead at this moment; null for nothing. Never outlives the process.</summary>
    LevelChange? Change { get; set; }
}
