using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Server.Audit;

namespace Signet.Cli.Commands;

/// <summary><c>signet audit tail|verify</c>.</summary>
internal static class AuditCommand
{
    private const int DefaultCount = 20;

    public static Command Create(CliContext context) => new("audit", "Who did what on the server, and what was refused") { Tail(context), Verify(context) };

    private static Command Tail(CliContext context)
    {
        var count = new Option<int>("--count", "-n") { Description = "How many of the newest records", HelpName = "N", DefaultValueFactory = _ => DefaultCount };
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with new ones until interrupted" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("tail", "Show the newest records of the audit trail. Example: signet audit tail --follow") { count, follow, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var answer = Answer.To(parsed, output);
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            try
            {
                await foreach (var record in admin.Audit.TailAsync(parsed.GetValue(count), parsed.GetValue(follow), cancellationToken).ConfigureAwait(false))
                {
                    if (answer.Format == OutputFormat.Json)
                    {
                        answer.Out.WriteLine(record.ToJsonString());
                    }
                    else
                    {
                        WriteText(answer, record);
                    }
                }
            }
            catch (OperationCanceledException) when (parsed.GetValue(follow))
            {
                // Interrupted, as it was meant to end.
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static Command Verify(CliContext context)
    {
        var head = CommandValues.Parsed<AuditPosition>("--head", "A position noted earlier, which must still be in the trail", "SEQUENCE:HASH", AuditPosition.TryParse);
        var folder = new Option<string>("--folder") { Description = "Check a copy of the files here, without the server and what its store remembers", HelpName = "DIR" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("verify", "Check that no record was changed, removed, moved or cut off. Example: signet audit verify") { head, folder, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var answer = Answer.To(parsed, output);
            var trail = parsed.GetValue(folder) is { } copy ? VerifyCopy(copy, parsed.GetValue(head)) : await VerifyAsync(context, parsed, parsed.GetValue(head), cancellationToken).ConfigureAwait(false);
            answer.Write(
                () => new JsonObject
                {
                    ["holds"] = trail.Findings.Count == 0,
                    ["records"] = trail.Records,
                    ["head"] = trail.Head,
                    ["findings"] = new JsonArray([.. trail.Findings.Select(finding => JsonValue.Create(finding))]),
                },
                _ =>
                {
                    foreach (var finding in trail.Findings)
                    {
                        answer.Out.WriteLine(answer.Ink.Of(finding, Tone.Bad));
                    }

                    answer.Out.WriteLine(trail.Findings.Count == 0 ? answer.Ink.Of($"{trail.Records} records hold", Tone.Good) : $"{trail.Records} records, {trail.Findings.Count} findings");
                    answer.Out.WriteLine($"head {trail.Head}");
                });
            return trail.Findings.Count == 0 ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }

    private static async Task<VerifiedTrail> VerifyAsync(CliContext context, ParseResult parsed, AuditPosition? head, CancellationToken cancellationToken)
    {
        using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
        return await admin.Audit.VerifyAsync(head, cancellationToken).ConfigureAwait(false);
    }

    private static VerifiedTrail VerifyCopy(string folder, AuditPosition? head)
    {
        var files = AuditFiles.List(folder);
        if (files.Count == 0)
        {
            throw new CliError($"{folder} holds no audit trail", "it lies in the folder audit under the server's dataDir");
        }

        var report = AuditVerifier.Verify(files, files[0].First == 1 ? AuditPosition.Origin : null, head is null ? [] : [head]);
        return new VerifiedTrail(
            report.Records, report.Head.ToString(), [.. report.Findings.Select(finding => finding.ToString()), .. report.Torn > 0 ? [$"the last {report.Torn} bytes are an unfinished record"] : Array.Empty<string>()]);
    }

    private static void WriteText(Answer answer, JsonObject record)
    {
        string Of(string name) => record[name]?.ToString() ?? "";
        var what = Of("verdict").Length > 0 ? answer.Ink.Of(Of("verdict"), Of("verdict") == "denied" ? Tone.Bad : Tone.Good)
            : Of("kind") == "end" ? answer.Ink.Of($"{Of("outcome")} (record {Of("of")})", Of("outcome") == "OK" ? Tone.Good : Tone.Warning)
            : Of("kind");
        answer.Out.WriteLine($"{Of("seq"),6}  {Of("time")}  {Hosting.OneLine.Of(Of("caller"))}  {Hosting.OneLine.Of(Of("action"))}  {what}{(Of("reason").Length > 0 ? $": {Hosting.OneLine.Of(Of("reason"))}" : "")}");
        foreach (var one in record["objects"]?.AsArray() ?? [])
        {
            answer.Out.WriteLine($"        {Hosting.OneLine.Of($"{one}")}");
        }

        if (Of("leftOut").Length > 0)
        {
            answer.Out.WriteLine(answer.Ink.Of($"        before it, {Of("leftOut")} records were left out that came too fast", Tone.Faint));
        }
    }
}
