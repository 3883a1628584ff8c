using System.Globalization;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Configuration;

/// <summary>Sizes in bytes as people write them: <c>512</c>, <c>64KiB</c>, <c>1MiB</c>, <c>2GiB</c>.</summary>
public static class SizeText
{
    private const int MaxDigits = 18;

    private static readonly (string Unit, long Bytes)[] Units =
        [("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40), ("B", 1), ("", 1)];

    /// <summary>Reads a size, in bytes. Never throws.</summary>
    // size = 1*18DIGIT ["B" / "KiB" / "MiB" / "GiB" / "TiB"]
    public static bool TryParse(string? text, out long bytes, out string problem)
    {
        bytes = 0;
        problem = $"\"{Printable.Of(text)}\" is not a size; write a number and a unit, such as 512, 64KiB, 1MiB or 2GiB";
        if (string.IsNullOrEmpty(text))
        {
            return false;
        }

        var (unit, factor) = Units.First(unit => text.EndsWith(unit.Unit, StringComparison.Ordinal));
        var digits = text.AsSpan()[..^unit.Length];
        if (digits.Length is 0 or > MaxDigits || !long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            return false;
        }

        if (count > long.MaxValue / factor)
        {
            problem = $"\"{Printable.Of(text)}\" is more than {long.MaxValue} bytes";
            return false;
        }

        bytes = count * factor;
        problem = "";
        return true;
    }

    /// <summary>In the largest unit that divides it: <c>64KiB</c>, <c>1500B</c>.</summary>
    public static string Format(long bytes)
    {
        var (unit, factor) = Units.Take(4).Reverse().Append(("B", 1)).First(unit => bytes % unit.Item2 == 0 && (bytes != 0 || unit.Item2 == 1));
        return string.Create(CultureInfo.InvariantCulture, $"{bytes / factor}{unit}");
    }
}
