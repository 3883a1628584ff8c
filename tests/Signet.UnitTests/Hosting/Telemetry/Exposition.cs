using System.Globalization;

namespace Signet.UnitTests.Hosting.Telemetry;

/// <summary>A strict reader of Prometheus' text format 0.0.4, to judge what the writer writes.</summary>
internal sealed class Exposition
{
    private readonly Dictionary<string, double> _samples = [];
    private readonly Dictionary<string, string> _types = [];
    private readonly Dictionary<string, string> _helps = [];

    public IReadOnlyDictionary<string, double> Samples => _samples;

    public IReadOnlyDictionary<string, string> Types => _types;

    public IReadOnlyDictionary<string, string> Helps => _helps;

    public static Exposition Parse(string text)
    {
        var exposition = new Exposition();
        Assert.True(text.Length == 0 || text.EndsWith('\n'));
        var family = "";
        foreach (var line in text.Split('\n')[..^1])
        {
            if (line.StartsWith("# HELP ", StringComparison.Ordinal))
            {
                var parts = line.Split(' ', 4);
                exposition._helps.Add(parts[2], Unescape(parts[3], quoted: false));
            }
            else if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
            {
                var parts = line.Split(' ');
                Assert.Equal(4, parts.Length);
                Assert.Contains(parts[3], (string[])["counter", "gauge", "histogram"]);
                exposition._types.Add(family = parts[2], parts[3]);
            }
            else
            {
                exposition.Sample(line, family);
            }
        }

        return exposition;
    }

    private void Sample(string line, string family)
    {
        var at = 0;
        var name = Name(line, ref at);
        var type = _types[family];
        Assert.Contains(name, type == "histogram" ? [family + "_bucket", family + "_sum", family + "_count"] : (string[])[family]);
        var labels = new List<string>();
        if (line[at] == '{')
        {
            at++;
            while (line[at] != '}')
            {
                var label = Name(line, ref at);
                Assert.Equal("=\"", line.Substring(at, 2));
                var start = at += 2;
                while (line[at] != '"')
                {
                    at += line[at] == '\\' ? 2 : 1;
                }

                labels.Add($"{label}={Unescape(line[start..at], quoted: true)}");
                at++;
                if (line[at] == ',')
                {
                    at++;
                }
            }

            at++;
        }

        Assert.Equal(labels.Count, labels.Select(label => label.Split('=')[0]).Distinct().Count());
        Assert.Equal(' ', line[at]);
        var value = line[(at + 1)..] switch
        {
            "+Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            var number => double.Parse(number, NumberStyles.Float, CultureInfo.InvariantCulture),
        };
        _samples.Add(labels.Count == 0 ? name : $"{name}|{string.Join('|', labels)}", value);
    }

    private static string Name(string line, ref int at)
    {
        var start = at;
        while (char.IsAsciiLetterOrDigit(line[at]) || line[at] is '_' or ':')
        {
            at++;
        }

        Assert.True(at > start && !char.IsAsciiDigit(line[start]), line);
        return line[start..at];
    }

    private static string Unescape(string text, bool quoted)
    {
        var plain = new System.Text.StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                Assert.True(!quoted || text[i] != '"');
                plain.Append(text[i]);
                continue;
            }

            plain.Append(text[++i] switch
            {
                'n' => '\n',
                '\\' => '\\',
                '"' when quoted => '"',
                var other => throw new FormatException($"escape \\{other}"),
            });
        }

        return plain.ToString();
    }
}
