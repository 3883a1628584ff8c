using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting;
using Signet.Policy.Traffic;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy simulate</c>: what changed policies would do to traffic that was recorded, before anyone applies them.</summary>
public static class SimulateCommand
{
    public static Command Create()
    {
        var policies = PolicyOptions.Policies();
        var log = new Option<string[]>("--log") { Description = "A proxy's JSON access log; repeatable", HelpName = "FILE", Required = true, AllowMultipleArgumentsPerToken = true };
        var mesh = PolicyOptions.Mesh();
        var output = Answer.Option();
        return new Command("simulate", "Replay recorded traffic against changed policies: who would be newly refused, who newly admitted") { policies, log, mesh, output }.Runs(parsed =>
        {
            var simulation = new Simulation(PolicyFiles.LoadFaultless(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh))));
            var unread = Replay(simulation, parsed.GetRequiredValue(log), parsed.InvocationConfiguration.Error);
            var (edges, leftOut) = (simulation.Edges(), unread + simulation.LeftOut);
            Answer.To(parsed, output).Write(() => Json(edges, leftOut), answer => WriteText(answer, edges, leftOut));
            return ExitCode.Done;
        });
    }

    // A log is read line by line and may be larger than memory; a line that can't be read is counted, the first one also shown.
    private static long Replay(Simulation simulation, string[] files, TextWriter error)
    {
        long unread = 0;
        foreach (var file in files)
        {
            long number = 0;
            foreach (var line in PolicyFiles.ReadLines(file, AccessLogEntry.MaxLineLength))
            {
                number++;
                if (line.Length == 0)
                {
                    continue;
                }

                if (!AccessLogEntry.TryParse(line, out var entry, out var problem))
                {
                    if (unread++ == 0)
                    {
                        error.WriteLine($"warning: {OneLine.Of(file)}:{Number(number)}: {OneLine.Of(problem)}; such lines are left out");
                    }
                }
                else if (entry is not null)
                {
                    simulation.Add(entry);
                }
            }
        }

        return unread;
    }

    private static void WriteText(Answer answer, IReadOnlyList<SimulatedEdge> edges, long leftOut)
    {
        var table = new Table("client", "server", "port", "requests", "newly refused", "newly admitted", "reason");
        foreach (var edge in edges)
        {
            table.Add(
                edge.Client,
                edge.Server,
                Number(edge.Port),
                Number(edge.Requests),
                new Cell(Number(edge.NewlyRefused) + (edge.IsUncertain ? "?" : ""), edge.NewlyRefused > 0 ? Tone.Bad : Tone.Plain),
                new Cell(Number(edge.NewlyAdmitted) + (edge.IsUncertain ? "?" : ""), edge.NewlyAdmitted > 0 ? Tone.Warning : Tone.Plain),
                edge.Reason ?? "-");
        }

        table.Write(answer.Out, answer.Ink);
        if (edges.Any(edge => edge.IsUncertain))
        {
            answer.Out.WriteLine("? the policies ask for headers, tokens or an external authoriser, which logs don't hold");
        }

        if (leftOut > 0)
        {
            answer.Out.WriteLine($"{Number(leftOut)} lines were left out");
        }
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static JsonObject Json(IReadOnlyList<SimulatedEdge> edges, long leftOut) => new()
    {
        ["requests"] = edges.Sum(edge => edge.Requests),
        ["newlyRefused"] = edges.Sum(edge => edge.NewlyRefused),
        ["newlyAdmitted"] = edges.Sum(edge => edge.NewlyAdmitted),
        ["leftOut"] = leftOut,
        ["edges"] = new JsonArray([.. edges.Select(edge => new JsonObject
        {
            ["client"] = edge.Client,
            ["server"] = edge.Server,
            ["port"] = edge.Port,
            ["requests"] = edge.Requests,
            ["newlyRefused"] = edge.NewlyRefused,
            ["newlyAdmitted"] = edge.NewlyAdmitted,
            ["uncertain"] = edge.IsUncertain,
            ["reason"] = edge.Reason,
        })]),
    };
}
