using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Proxy.Capture;

namespace Signet.Cli.Commands.Capture;

/// <summary><c>signet capture install|remove|show</c>: lets connections reach the proxy without their applications knowing.</summary>
internal static class CaptureCommand
{
    public static Command Create(CliContext context) => new("capture", "Lead a workload's connections through its proxy, without the workload knowing")
    {
        Install(context), Remove(context), Show(context),
    };

    private static Command Install(CliContext context)
    {
        var settings = new CaptureSettings(uidRequired: true);
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would be run; needs no rights" };
        var output = Answer.Option();
        var command = new Command("install", "Capture connections in this network namespace; again with other options changes what is there. Example: signet capture install --proxy-uid 1337 --exclude-inbound-ports 22") { dryRun, output };
        settings.AddTo(command);
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var options = settings.Read(parsed)!;
            var answer = Answer.To(parsed, output);
            if (parsed.GetValue(dryRun))
            {
                var calls = CaptureFamilies.OfThisMachine.SelectMany(family => CaptureInstaller.InstallCalls(options, new CaptureState(family, RuleSet.Empty, HasRule: false, HasRoute: false))).ToList();
                answer.Write(() => new JsonArray([.. calls.Select(Json)]), text => calls.ForEach(call => WriteText(text, call)));
                return ExitCode.Done;
            }

            await Installer(context).InstallAsync(options, CaptureFamilies.OfThisMachine, cancellationToken).ConfigureAwait(false);
            answer.Write(() => new JsonObject { ["installed"] = true, ["families"] = Names() }, text => text.Out.WriteLine($"connections over {string.Join(" and ", Names())} are captured"));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Remove(CliContext context)
    {
        var output = Answer.Option();
        var command = new Command("remove", "Stop capturing, whatever it was installed with. Example: signet capture remove") { output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var any = await Installer(context).RemoveAsync(CaptureFamilies.OfThisMachine, cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => new JsonObject { ["removed"] = any }, text => text.Out.WriteLine(any ? "connections are no longer captured" : "nothing was captured"));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Show(CliContext context)
    {
        var settings = new CaptureSettings(uidRequired: false);
        var output = Answer.Option();
        var command = new Command("show", "Show what is captured; with the options of install, also how it differs from them, and then exit 1. Example: signet capture show --proxy-uid 1337") { output };
        settings.AddTo(command);
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var options = settings.Read(parsed);
            var states = new List<CaptureState>();
            foreach (var family in CaptureFamilies.OfThisMachine)
            {
                states.Add(await Installer(context).ReadAsync(family, cancellationToken).ConfigureAwait(false));
            }

            Answer.To(parsed, output).Write(
                () => new JsonArray([.. states.Select(state => Json(state, options))]),
                answer => states.ForEach(state => WriteText(answer, state, options)));
            return options is not null && states.Any(state => state.DifferencesFrom(options).Count > 0) ? ExitCode.Failed : ExitCode.Done;
        });
        return command;
    }

    private static CaptureInstaller Installer(CliContext context) => new(new ToolRunner(context.Time).RunAsync);

    private static JsonArray Names() => [.. CaptureFamilies.OfThisMachine.Select(family => JsonValue.Create(CaptureInstaller.Name(family)))];

    private static JsonObject Json(ToolCall call) => new()
    {
        ["program"] = call.Program,
        ["arguments"] = new JsonArray([.. call.Arguments.Select(argument => JsonValue.Create(argument))]),
        ["input"] = call.Input,
    };

    private static JsonObject Json(CaptureState state, CaptureOptions? options) => new()
    {
        ["family"] = CaptureInstaller.Name(state.Family),
        ["installed"] = !state.IsEmpty,
        ["rules"] = new JsonArray([.. state.Rules.Rules.Select(rule => new JsonObject { ["table"] = rule.Table, ["chain"] = rule.Chain, ["rule"] = rule.Text })]),
        ["policyRoute"] = state.HasRule && state.HasRoute,
        ["drift"] = options is null ? null : new JsonArray([.. state.DifferencesFrom(options).Select(difference => JsonValue.Create(difference))]),
    };

    private static void WriteText(Answer answer, ToolCall call)
    {
        answer.Out.WriteLine($"# {call}");
        answer.Out.Write(call.Input);
    }

    private static void WriteText(Answer answer, CaptureState state, CaptureOptions? options)
    {
        var name = CaptureInstaller.Name(state.Family);
        answer.Out.WriteLine(answer.Ink.Of(state.IsEmpty ? $"{name}: nothing is captured" : $"{name}:", Tone.Strong));
        foreach (var rule in state.Rules.Rules)
        {
            answer.Out.WriteLine($"  {rule}");
        }

        if (state.HasRule || state.HasRoute)
        {
            answer.Out.WriteLine("  marked packets stay on this machine");
        }

        if (options is null)
        {
            return;
        }

        var differences = state.DifferencesFrom(options);
        answer.Out.WriteLine(differences.Count == 0 ? answer.Ink.Of("  as planned", Tone.Good) : answer.Ink.Of($"  {differences.Count} differences from the plan", Tone.Bad));
        foreach (var difference in differences)
        {
            answer.Out.WriteLine($"  {difference}");
        }
    }
}
