using System.Collections.Concurrent;
using System.Text;

namespace Signet.Hosting.Telemetry;

/// <summary>Names as Prometheus allows them: <c>[a-zA-Z_:][a-zA-Z0-9_:]*</c>, with unit and kind at the end.</summary>
internal static class PrometheusNames
{
    /// <summary>A longer label name is cut.</summary>
    public const int MaxLabelLength = 64;

    /// <summary>What the format keeps for the buckets of histograms.</summary>
    private const string ReservedLabel = "le";

    private const int MaxRemembered = 1_000;
    private static readonly ConcurrentDictionary<string, string> Rewritten = new(StringComparer.Ordinal);

    public static string Metric(string name, string? unit, MetricKind kind)
    {
        var text = new StringBuilder(name.Length + 16);
        foreach (var c in name)
        {
            text.Append(At(c, text.Length));
        }

        AddEnding(text, unit switch
        {
            "s" => "_seconds",
            "ms" => "_milliseconds",
            "By" => "_bytes",
            "%" => "_percent",
            _ => "",
        });
        AddEnding(text, kind == MetricKind.Counter ? "_total" : "");
        return text.ToString();
    }

    /// <summary>The name of a label: the tag's own when it is allowed.</summary>
    public static string Label(string tag)
    {
        if (tag.Length <= MaxLabelLength && tag != ReservedLabel && IsAllowed(tag))
        {
            return tag;
        }

        if (Rewritten.TryGetValue(tag, out var label))
        {
            return label;
        }

        label = tag == ReservedLabel ? ReservedLabel + "_"
            : string.Create(Math.Min(tag.Length, MaxLabelLength), tag, static (span, from) =>
            {
                for (var i = 0; i < span.Length; i++)
                {
                    span[i] = At(from[i], i);
                }
            });
        return Rewritten.Count < MaxRemembered ? Rewritten.GetOrAdd(tag, label) : label;
    }

    private static bool IsAllowed(string name)
    {
        for (var i = 0; i < name.Length; i++)
        {
            if (At(name[i], i) != name[i])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A character of a name at a position, or <c>_</c> where it may not stand.</summary>
    private static char At(char c, int position) => char.IsAsciiLetter(c) || (char.IsAsciiDigit(c) && position > 0) ? c : '_';

    private static void AddEnding(StringBuilder text, string ending)
    {
        if (!text.ToString().EndsWith(ending, StringComparison.Ordinal))
        {
            text.Append(ending);
        }
    }
}
