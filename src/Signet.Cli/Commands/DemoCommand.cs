using System.CommandLine;
using System.Net;
using Signet.Cli.Demo;
using Signet.Cli.Output;
using Spectre.Console;

namespace Signet.Cli.Commands;

/// <summary><c>signet demo</c>, and the hidden command that runs one of its services.</summary>
internal static class DemoCommand
{
    public static Command Create(CliContext context)
    {
        var once = new Option<bool>("--once") { Description = "Do not wait for a key between steps; exit 0 only if every step held" };
        var keep = new Option<bool>("--keep") { Description = "Leave the mesh running at the end until interrupted" };
        var command = new Command("demo", "A whole mesh on this machine, step by step, with evidence. Example: signet demo --once") { once, keep };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var console = AnsiConsole.Create(new AnsiConsoleSettings());
            console.Profile.Width = Math.Max(console.Profile.Width, 160);
            var stage = new DemoStage(console, waitForKey: !parsed.GetValue(once) && !Console.IsInputRedirected);
            var folder = Directory.CreateTempSubdirectory("signet-demo-").FullName;
            var layout = new DemoLayout(folder);
            await using var mesh = new DemoMesh(layout, context.Time);
            var run = new DemoRun(layout, mesh, stage, context.Time);
            try
            {
                await run.PlayAsync(cancellationToken).ConfigureAwait(false);
                if (parsed.GetValue(keep))
                {
                    stage.Say($"The mesh goes on running; its files are in {folder}. Interrupt to stop it.");
                    await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }

                await run.StopAsync().ConfigureAwait(false);
                Directory.Delete(folder, recursive: true);
                stage.Say($"\nAll {stage.Held} checks held.");
                return ExitCode.Done;
            }
            catch (DemoException e)
            {
                throw new CliError($"the demo did not hold: {e.Message}", $"logs and configuration are in {folder}");
            }
        });
        return command;
    }

    public static Command Service(CliContext context)
    {
        var name = new Option<string>("--name") { Required = true };
        var listen = new Option<string>("--listen") { Required = true };
        var next = new Option<string>("--next");
        var command = new Command("demo-service", "One of the demo's plaintext services") { name, listen, next };
        command.Hidden = true;
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            (HttpMethod Method, Uri Address)? call = parsed.GetValue(next) is { } text && text.Split(' ') is [var method, var address]
                ? (new HttpMethod(method), new Uri(address))
                : null;
            await DemoService.RunAsync(parsed.GetRequiredValue(name), IPEndPoint.Parse(parsed.GetRequiredValue(listen)), call, context.Time, cancellationToken).ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }
}
