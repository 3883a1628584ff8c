using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting;

namespace Signet.Cli.Commands.Proxy;

/// <summary><c>signet proxy metrics</c>: everything that a running proxy counts, as a person reads it; scrapers ask the endpoint itself.</summary>
internal static class ProxyMetrics
{
    private const string BucketEnding = "_bucket";

    public static Command Create()
    {
        var name = ProxyVerb.Filter("--name", "Only metrics whose name begins so", "PREFIX");
        return ProxyVerb.Create(
            "metrics",
            "Show everything that a proxy counts",
            async (question, cancellationToken) =>
            {
                var (prefix, samples) = (question.Parsed.GetValue(name) ?? "", new JsonArray());
                await question.Admin.ReadLinesAsync(
                    "/metrics",
                    line =>
                    {
                        if (line.StartsWith(prefix, StringComparison.Ordinal) && !line.StartsWith('#') && SampleOf(line) is { } sample)
                        {
                            samples.Add(sample);
                        }
                    },
                    cancellationToken).ConfigureAwait(false);
                question.Answer.Write(() => new JsonObject { ["metrics"] = samples }, answer => Write(samples, answer));
                return ExitCode.Done;
            },
            name);
    }

    /// <summary>Buckets are for machines; their sum and count say as much as a line can. Nor does a label that says nothing, and the value is not pushed out of sight.</summary>
    private static void Write(JsonArray samples, Answer answer)
    {
        var (table, shown) = (new Table("metric", "value", "labels"), 0);
        foreach (var sample in samples.OfType<JsonObject>().Where(sample => !ProxyVerb.Text(sample, "name").EndsWith(BucketEnding, StringComparison.Ordinal)))
        {
            shown++;
            var labels = sample["labels"]!.AsObject().Where(label => label.Value?.ToString() is { Length: > 0 }).Select(label => $"{label.Key}={label.Value}");
            table.Add(ProxyVerb.Text(sample, "name"), ProxyVerb.Text(sample, "value"), string.Join(' ', labels));
        }

        if (table.IsEmpty)
        {
            answer.Out.WriteLine("no metrics of that name");
            return;
        }

        table.Write(answer.Out, answer.Ink);
        if (shown < samples.Count)
        {
            answer.Out.WriteLine($"{samples.Count - shown} buckets of histograms are left out; --output json has them");
        }
    }

    /// <summary>
    /// A sample of Prometheus' text format; null for what is none:
    /// <code>
    /// name [ "{" label "=" DQUOTE value DQUOTE *( "," … ) "}" ] SP number
    /// </code>
    /// </summary>
    private static JsonObject? SampleOf(string line)
    {
        var end = line.AsSpan().IndexOfAny('{', ' ');
        if (end <= 0)
        {
            return null;
        }

        var (labels, at) = (new JsonObject(), end);
        if (line[at] == '{')
        {
            for (at++; at < line.Length && line[at] != '}';)
            {
                var equals = line.IndexOf("=\"", at, StringComparison.Ordinal);
                if (equals < 0)
                {
                    return null;
                }

                var label = line[at..equals];
                labels[label] = TextAt(line, equals + 2, out at);
                at += at < line.Length && line[at] == ',' ? 1 : 0;
            }

            at++;
        }

        return at < line.Length && double.TryParse(line.AsSpan(at).Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? new JsonObject { ["name"] = line[..end], ["labels"] = labels, ["value"] = double.IsFinite(value) ? value : null }
            : null;
    }

    /// <summary>A text up to its closing quote; <c>\\</c>, <c>\"</c> and <c>\n</c> are escapes.</summary>
    private static string TextAt(string line, int start, out int next)
    {
        var text = new StringBuilder();
        for (next = start; next < line.Length && line[next] != '"'; next++)
        {
            if (line[next] == '\\' && next + 1 < line.Length)
            {
                next++;
                text.Append(line[next] == 'n' ? '\n' : line[next]);
            }
            else
            {
                text.Append(line[next]);
            }
        }

        next++;
        return text.ToString();
    }
}
