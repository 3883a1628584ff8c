using System.Globalization;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Configuration;

/// <summary>
/// Durations as people write them: <c>30s</c>, <c>5m</c>, <c>24h</c>, <c>30d</c>, <c>250ms</c>, and combinations from large to small such as
/// <c>1h30m</c>.
/// </summary>
public static class DurationText
{
    /// <summary>The longest duration that is accepted.</summary>
    public static readonly TimeSpan Max = TimeSpan.FromDays(36_500);

    private const int MaxLength = 40;

    private static readonly (string Unit, TimeSpan Length)[] Units =
    [
        ("d", TimeSpan.FromDays(1)), ("h", TimeSpan.FromHours(1)), ("m", TimeSpan.FromMinutes(1)), ("s", TimeSpan.FromSeconds(1)),
        ("ms", TimeSpan.FromMilliseconds(1)),
    ];

    /// <summary>Reads a duration of zero or more. Never throws.</summary>
    // duration = "0" / 1*(1*DIGIT unit), unit = "d" / "h" / "m" / "s" / "ms", each at most once and from large to small
    public static bool TryParse(string? text, out TimeSpan duration, out string problem)
    {
        duration = TimeSpan.Zero;
        problem = $"\"{Printable.Of(text)}\" is not a duration; write a number and a unit, such as 30s, 5m, 24h, 30d or 1h30m";
        if (string.IsNullOrEmpty(text) || text.Length > MaxLength)
        {
            return false;
        }

        if (text == "0")
        {
            problem = "";
            return true;
        }

        var rest = text.AsSpan();
        var next = 0;
        var total = TimeSpan.Zero;
        while (rest.Length > 0)
        {
            var digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits <= 0 || !long.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out var count))
            {
                return false;
            }

            rest = rest[digits..];
            var letters = rest.IndexOfAnyInRange('0', '9');
            var unit = letters < 0 ? rest : rest[..letters];
            while (next < Units.Length && !unit.SequenceEqual(Units[next].Unit))
            {
                next++;
            }

            if (next == Units.Length)
            {
                return false;
            }

            if (count > (Max - total) / Units[next].Length)
            {
                problem = $"\"{Printable.Of(text)}\" is longer than {Format(Max)}";
                return false;
            }

            total += count * Units[next++].Length;
            rest = rest[unit.Length..];
        }

        duration = total;
        problem = "";
        return true;
    }

    /// <summary>Like <see cref="TryParse"/>, for text that is known to be good.</summary>
    /// <exception cref="FormatException">The text is not a duration; the message says why.</exception>
    public static TimeSpan Parse(string text) => TryParse(text, out var duration, out var problem) ? duration : throw new FormatException(problem);

    /// <summary>
    /// For people: the two largest units that say something, rounded towards zero: <c>23h59m</c>, <c>1d</c>, <c>5m30s</c>, <c>1s500ms</c>, <c>0s</c>.
    /// A negative duration begins with <c>-</c>.
    /// </summary>
    public static string Format(TimeSpan duration)
    {
        var rest = duration == TimeSpan.MinValue ? TimeSpan.MaxValue : duration.Duration();
        var text = new StringBuilder();
        for (var i = 0; i < Units.Length; i++)
        {
            var count = (long)(rest / Units[i].Length);
            if (count > 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"{count}{Units[i].Unit}");
                rest -= count * Units[i].Length;
                var second = i + 1 < Units.Length ? (long)(rest / Units[i + 1].Length) : 0;
                if (second > 0)
                {
                    text.Append(CultureInfo.InvariantCulture, $"{second}{Units[i + 1].Unit}");
                }

                return (duration < TimeSpan.Zero ? "-" : "") + text;
            }
        }

        return "0s";
    }
}
