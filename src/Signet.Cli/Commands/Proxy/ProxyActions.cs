using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting;
using Signet.Hosting.Logging;

namespace Signet.Cli.Commands.Proxy;

/// <summary><c>signet proxy ready|drain|logging</c>: how a running proxy is, and what can be changed about it.</summary>
internal static class ProxyActions
{
    public static Command Ready() => ProxyVerb.Create("ready", "Say whether a proxy serves, and why not; exit 1 when it does not", async (question, cancellationToken) =>
    {
        var page = await question.Admin.GetAsync("/ready", orStatus: 503, cancellationToken).ConfigureAwait(false);
        var ready = ProxyVerb.IsTrue(page, "ready");
        question.Answer.Write(() => page, answer =>
        {
            answer.Out.WriteLine(ready ? answer.Ink.Of("ready", Tone.Good) : answer.Ink.Of("not ready", Tone.Bad));
            var table = new Table("condition", "holds", "reason");
            foreach (var condition in ProxyVerb.Items(page["conditions"]))
            {
                var holds = ProxyVerb.IsTrue(condition, "ready");
                table.Add(ProxyVerb.Text(condition, "name"), new Cell(holds ? "yes" : "no", holds ? Tone.Good : Tone.Bad), ProxyVerb.Text(condition, "reason"));
            }

            table.Write(answer.Out, answer.Ink);
        });
        return ready ? ExitCode.Done : ExitCode.Failed;
    });

    public static Command Drain() => ProxyVerb.Create("drain", "Make a proxy take no new connections and let those under way end", async (question, cancellationToken) =>
    {
        var page = await question.Admin.PostAsync("/drain", null, cancellationToken).ConfigureAwait(false);
        question.Answer.Write(() => page, answer => answer.Out.WriteLine($"draining, {ProxyVerb.Number(page, "connections")} connections under way; watch them end with: signet proxy connections"));
        return ExitCode.Done;
    });

    public static Command Logging()
    {
        var words = LogConfig.Words.Select(known => known.Word).ToArray();
        var level = ProxyVerb.Filter("--level", "Log from this level on, until the proxy restarts or the time is over", "", words);
        var time = new Option<string?>("--for") { Description = "For how long, such as 10m", HelpName = "DURATION" };
        var reset = new Option<bool>("--reset") { Description = "Log what the configuration says again" };
        return ProxyVerb.Create(
            "logging",
            "Show or change how much a proxy logs",
            async (question, cancellationToken) =>
            {
                var (wanted, span, isReset) = (question.Parsed.GetValue(level), question.Parsed.GetValue(time), question.Parsed.GetValue(reset));
                if ((isReset && (wanted ?? span) is not null) || (span is not null && wanted is null))
                {
                    throw new CliError("the options contradict each other", "write --level LEVEL, --level LEVEL --for DURATION, or --reset");
                }

                var page = isReset ? await question.Admin.PostAsync("/logging", new JsonObject { ["level"] = null }, cancellationToken).ConfigureAwait(false)
                    : wanted is not null ? await question.Admin.PostAsync("/logging", Change(wanted, span), cancellationToken).ConfigureAwait(false)
                    : await question.Admin.GetAsync("/logging", cancellationToken).ConfigureAwait(false);
                question.Answer.Write(() => page, answer =>
                {
                    var end = !ProxyVerb.IsTrue(page, "changed") ? ", as configured"
                        : $", instead of {ProxyVerb.Text(page, "configured")} until {(page["until"] is { } until ? until.ToString() : "the proxy restarts")}";
                    answer.Out.WriteLine(OneLine.Of($"level {ProxyVerb.Text(page, "level")}{end}"));
                });
                return ExitCode.Done;
            },
            level,
            time,
            reset);
    }

    private static JsonObject Change(string level, string? span) => span is null ? new() { ["level"] = level } : new() { ["level"] = level, ["for"] = span };
}
