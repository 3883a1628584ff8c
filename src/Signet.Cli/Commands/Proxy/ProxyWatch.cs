using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting;

namespace Signet.Cli.Commands.Proxy;

/// <summary><c>signet proxy watch</c>: requests and connections of a running proxy as they end.</summary>
internal static class ProxyWatch
{
    public static Command Create()
    {
        Option<string?>[] filters =
        [
            ProxyVerb.Filter("--direction", "Only those to or from the workload", "", "inbound", "outbound"),
            ProxyVerb.Filter("--source", "Only those of a SPIFFE ID or an address; * at the end stands for anything", "ID"),
            ProxyVerb.Filter("--destination", "Only those to a host, SPIFFE ID or address; * at the end stands for anything", "HOST"),
            ProxyVerb.Filter("--method", "Only requests with a method", "METHOD"),
            ProxyVerb.Filter("--path", "Only requests whose path begins so", "PREFIX"),
            ProxyVerb.Filter("--code", "Only answers with a status, or 4xx for all that begin so", "CODE"),
            ProxyVerb.Filter("--reason", "Only what was refused or failed for a reason", "REASON", Enum.GetNames<Signet.Proxy.RefusalReason>()),
            ProxyVerb.Filter("--verdict", "Only what was or was not let happen", "", "allow", "deny"),
            ProxyVerb.Filter("--count", "End after so many", "N"),
        ];
        filters[6].HelpName = "REASON";
        return ProxyVerb.Create(
            "watch",
            "Show requests and connections as they end, until interrupted",
            async (question, cancellationToken) =>
            {
                try
                {
                    await question.Admin.ReadLinesAsync("/watch" + ProxyVerb.Query(question.Parsed, filters), line => Write(line, question.Answer), cancellationToken).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    // Whoever watched has seen enough.
                }

                return ExitCode.Done;
            },
            filters);
    }

    private static void Write(string line, Answer answer)
    {
        answer.Out.WriteLine(answer.Format == OutputFormat.Json ? line : ForPeople(line, answer.Ink));
        answer.Out.Flush();
    }

    /// <summary>As much as fits a terminal's line: when, whether, who, what, to whom, how it ended.</summary>
    private static string ForPeople(string line, Ink ink)
    {
        JsonNode? record;
        try
        {
            record = JsonNode.Parse(line);
        }
        catch (JsonException)
        {
            return OneLine.Of(line);
        }

        if (record?["dropped"] is { } dropped)
        {
            return ink.Of($"{dropped} more happened than could be shown; a filter shows fewer", Tone.Warning);
        }

        var isDenied = ProxyVerb.Text(record, "verdict") == "deny";
        var flag = ProxyVerb.Text(record?["response"], "flag");
        var (source, destination, request) = (record?["source"], record?["destination"], record?["request"]);
        var who = source?["principal"]?.ToString() ?? ProxyVerb.Text(source, "ip");
        var whom = destination?["host"]?.ToString() ?? destination?["workload"]?.ToString() ?? "-";
        var what = request is null ? ProxyVerb.Text(record, "protocol") : $"{ProxyVerb.Text(request, "method")} {ProxyVerb.Text(request, "path")}";
        var how = request is null ? $"in={ProxyVerb.Text(record?["bytes"], "in")} out={ProxyVerb.Text(record?["bytes"], "out")}" : ProxyVerb.Text(record?["response"], "code") + (record?["response"]?["grpcStatus"] is { } grpc ? $" grpc={grpc}" : "");
        var why = flag == "-" ? "" : $"  {flag}: {ProxyVerb.Text(record, "reason")}";
        var time = ProxyVerb.Text(record, "time") is { Length: 24 } stamp ? stamp[11..23] : "-";
        return $"{ink.Of(time, Tone.Faint)}  {ink.Of(isDenied ? "deny " : "allow", isDenied ? Tone.Bad : Tone.Good)}  "
            + OneLine.Of($"{who} -> {whom}:{ProxyVerb.Text(destination, "port")}  {what}  {how}  {ProxyVerb.Text(record, "durationMs")}ms")
            + ink.Of(OneLine.Of(why), isDenied ? Tone.Bad : Tone.Warning);
    }
}
