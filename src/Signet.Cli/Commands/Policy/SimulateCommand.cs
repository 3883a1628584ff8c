using System.CommandLine;
using System.Globalization;
using System.Text.Json;
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
        var output = PolicyOptions.Output();
        var command = new Command("simulate", "Replay recorded traffic against changed policies: who would be newly refused, who newly admitted") { policies, log, mesh, output };
        command.SetAction(parsed => PolicyOutput.Run(parsed, writer =>
        {
            var load = PolicyFiles.LoadPolicies(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            if (load.HasErrors)
            {
                PolicyOutput.WriteProblems(parsed, load.Problems);
                return 1;
            }

            var simulation = new Simulation(load.Set);
            var unread = Replay(simulation, parsed.GetRequiredValue(log), parsed.InvocationConfiguration.Error);
            var edges = simulation.Edges();
            if (parsed.GetValue(output) == "json")
            {
                PolicyOutput.WriteJson(writer, json => WriteJson(json, edges, unread, simulation.LeftOut));
            }
            else
            {
                WriteText(writer, edges, unread + simulation.LeftOut);
            }

            return 0;
        }));
        return command;
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
                        error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"warning: {file}:{number}: {problem}; such lines are left out"));
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

    private static void WriteText(TextWriter writer, IReadOnlyList<SimulatedEdge> edges, long leftOut)
    {
        PolicyOutput.WriteColumns(writer, ["CLIENT", "SERVER", "PORT", "REQUESTS", "NEWLY REFUSED", "NEWLY ADMITTED", "REASON"], [.. edges.Select(edge => (IReadOnlyList<string>)
        [
            edge.Client,
            edge.Server,
            edge.Port.ToString(CultureInfo.InvariantCulture),
            edge.Requests.ToString(CultureInfo.InvariantCulture),
            edge.NewlyRefused.ToString(CultureInfo.InvariantCulture) + (edge.IsUncertain ? "?" : ""),
            edge.NewlyAdmitted.ToString(CultureInfo.InvariantCulture) + (edge.IsUncertain ? "?" : ""),
            edge.Reason ?? "-",
        ])]);
        if (edges.Any(edge => edge.IsUncertain))
        {
            writer.WriteLine("? the policies ask for headers, tokens or an external authoriser, which logs don't hold");
        }

        if (leftOut > 0)
        {
            writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{leftOut} lines were left out"));
        }
    }

    private static void WriteJson(Utf8JsonWriter json, IReadOnlyList<SimulatedEdge> edges, long unread, long leftOut)
    {
        json.WriteStartObject();
        json.WriteNumber("requests", edges.Sum(edge => edge.Requests));
        json.WriteNumber("newlyRefused", edges.Sum(edge => edge.NewlyRefused));
        json.WriteNumber("newlyAdmitted", edges.Sum(edge => edge.NewlyAdmitted));
        json.WriteNumber("leftOut", unread + leftOut);
        json.WriteStartArray("edges");
        foreach (var edge in edges)
        {
            json.WriteStartObject();
            json.WriteString("client", edge.Client);
            json.WriteString("server", edge.Server);
            json.WriteNumber("port", edge.Port);
            json.WriteNumber("requests", edge.Requests);
            json.WriteNumber("newlyRefused", edge.NewlyRefused);
            json.WriteNumber("newlyAdmitted", edge.NewlyAdmitted);
            json.WriteBoolean("uncertain", edge.IsUncertain);
            json.WriteString("reason", edge.Reason);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
