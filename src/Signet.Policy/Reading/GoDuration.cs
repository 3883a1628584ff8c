using System.Globalization;

namespace Signet.Policy.Reading;

/// <summary>Time spans as Istio's files write them: one or more numbers, each with its unit (<c>h</c>, <c>m</c>, <c>s</c>, <c>ms</c>, <c>us</c>, <c>ns</c>). Pure.</summary>
public static class GoDuration
{
    private const int MaxLength = 32;
    private const double MaxSeconds = 1e9;

    private static readonly (string Unit, double Seconds)[] Units = [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("h", 3600), ("m", 60), ("s", 1)];

    /// <summary>Reads a span of at most 32 characters and a billion seconds. Never throws.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan span)
    {
        span = default;
        if (text.Length is 0 or > MaxLength)
        {
            return false;
        }

        double total = 0;
        for (var rest = text; rest.Length > 0;)
        {
            var digits = rest.IndexOfAnyExcept("0123456789.");
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            {
                return false;
            }

            rest = rest[digits..];
            var (unit, seconds) = UnitOf(rest);
            total += number * seconds;
            if (unit == 0 || total > MaxSeconds)
            {
                return false;
            }

            rest = rest[unit..];
        }

        span = TimeSpan.FromSeconds(total);
        return true;
    }

    private static (int Length, double Seconds) UnitOf(ReadOnlySpan<char> rest)
    {
        foreach (var (unit, seconds) in Units)
        {
            if (rest.StartsWith(unit, StringComparison.Ordinal))
            {
                return (unit.Length, seconds);
            }
        }

        return default;
    }
}
