using System.Globalization;

namespace Signet.Benchmarks;

/// <summary>Some measurements of one thing.</summary>
internal sealed class Samples(IEnumerable<double> values)
{
    private readonly double[] _ascending = [.. values.Order()];

    public int Count => _ascending.Length;

    public double Median => _ascending.Length == 0 ? double.NaN : (_ascending[(Count - 1) / 2] + _ascending[Count / 2]) / 2;

    public double Lowest => _ascending.Length == 0 ? double.NaN : _ascending[0];

    public double Highest => _ascending.Length == 0 ? double.NaN : _ascending[^1];

    /// <summary>The value below which this share of them lies; the nearest one that was measured.</summary>
    public double Percentile(double share) => _ascending.Length == 0 ? double.NaN : _ascending[(int)Math.Round((Count - 1) * share)];

    /// <summary>Median and range: "1.23 [1.10-1.31]".</summary>
    public string WithRange(string format = "0.00") => $"{Number(Median, format)} [{Number(Lowest, format)}-{Number(Highest, format)}]";

    public static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
