using System.Globalization;
using Signet.Hosting.Configuration;

namespace Signet.Cli.Output;

/// <summary>Times as people and scripts read them.</summary>
public static class HumanTime
{
    /// <summary>How far away: <c>in 23h59m</c>, <c>5m30s ago</c>, <c>now</c>.</summary>
    public static string Relative(DateTimeOffset time, DateTimeOffset now)
    {
        var distance = TimeSpan.FromSeconds(Math.Truncate((time - now).TotalSeconds));
        return distance == TimeSpan.Zero ? "now"
            : distance > TimeSpan.Zero ? $"in {DurationText.Format(distance)}"
            : $"{DurationText.Format(-distance)} ago";
    }

    /// <summary>RFC 3339, UTC, to the second: <c>2026-01-02T03:04:05Z</c>.</summary>
    public static string Stamp(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    /// <summary>Both: <c>2026-01-02T03:04:05Z (in 23h59m)</c>.</summary>
    public static string Both(DateTimeOffset time, DateTimeOffset now) => $"{Stamp(time)} ({Relative(time, now)})";
}
