using System.Globalization;

namespace Signet.Rpc.Protocol;

/// <summary>
/// The <c>grpc-timeout</c> header. gRPC over HTTP/2:
/// <code>
/// Timeout → "grpc-timeout" TimeoutValue TimeoutUnit
/// TimeoutValue → {positive integer as ASCII string of at most 8 digits}
/// TimeoutUnit → "H" / "M" / "S" / "m" / "u" / "n"   ; hours … milli-, micro-, nanoseconds
/// </code>
/// </summary>
internal static class GrpcTimeout
{
    private const int MaxDigits = 8;
    private const long MaxValue = 99_999_999;
    private const int NanosecondsPerTick = 100;

    private static readonly (char Unit, long Ticks)[] Units =
    [
        ('u', TimeSpan.TicksPerMicrosecond),
        ('m', TimeSpan.TicksPerMillisecond),
        ('S', TimeSpan.TicksPerSecond),
        ('M', TimeSpan.TicksPerMinute),
        ('H', TimeSpan.TicksPerHour),
    ];

    /// <summary>Reads the header. Nanoseconds round up to ticks of 100 ns. Never throws.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > MaxDigits + 1
            || !long.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var value))
        {
            return false;
        }

        if (text[^1] == 'n')
        {
            timeout = TimeSpan.FromTicks((value + NanosecondsPerTick - 1) / NanosecondsPerTick);
            return true;
        }

        foreach (var (unit, ticks) in Units)
        {
            if (text[^1] == unit)
            {
                timeout = TimeSpan.FromTicks(value * ticks);
                return true;
            }
        }

        return false;
    }

    /// <summary>Writes the header in the finest unit that fits, rounded up; a negative time as none left.</summary>
    public static string Format(TimeSpan timeout)
    {
        var left = Math.Max(timeout.Ticks, 0);
        foreach (var (unit, ticks) in Units)
        {
            var value = (left / ticks) + (left % ticks == 0 ? 0 : 1);
            if (value <= MaxValue)
            {
                return value.ToString(CultureInfo.InvariantCulture) + unit;
            }
        }

        return MaxValue.ToString(CultureInfo.InvariantCulture) + 'H';
    }
}
