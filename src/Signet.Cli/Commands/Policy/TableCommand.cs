using System.CommandLine;
using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy table</c>: for clients and services, who would speak mutual TLS with whom.</summary>
public static class TableCommand
{
    public static Command Create()
    {
        var policies = PolicyOptions.Policies();
        var services = new Option<string>("--services") { Description = "A list of services and their clients", HelpName = "FILE", Required = true };
        var mesh = PolicyOptions.Mesh();
        var output = PolicyOptions.Output();
        var command = new Command("table", "Show for each client and service whether both sides agree on mutual TLS, and the objects behind each side") { policies, services, mesh, output };
        command.SetAction(parsed => PolicyOutput.Run(parsed, writer =>
        {
            var load = PolicyFiles.LoadPolicies(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            if (load.HasErrors)
            {
                PolicyOutput.WriteProblems(parsed, load.Problems);
                return 1;
            }

            var rows = TruthTable.Of(load.Set, PolicyFiles.Load(parsed.GetRequiredValue(services), ServicesFile.Read));
            if (parsed.GetValue(output) == "json")
            {
                PolicyOutput.WriteJson(writer, json =>
                {
                    json.WriteStartArray();
                    foreach (var row in rows)
                    {
                        json.WriteStartObject();
                        json.WriteString("name", row.Name);
                        json.WriteString("server", row.Server.Mode.Word());
                        json.WriteString("serverFrom", row.Server.From);
                        json.WriteString("client", row.Client.Mode.Word());
                        json.WriteString("clientFrom", row.Client.From);
                        json.WriteString("verdict", row.Verdict.Word());
                        json.WriteEndObject();
                    }

                    json.WriteEndArray();
                });
            }
            else
            {
                PolicyOutput.WriteColumns(writer, ["SERVICE", "SERVER", "FROM", "CLIENT", "FROM", "VERDICT"], [.. rows.Select(row => (IReadOnlyList<string>)
                    [row.Name, row.Server.Mode.Word(), row.Server.From ?? "-", row.Client.Mode.Word(), row.Client.From ?? "-", row.Verdict.Word()])]);
            }

            return 0;
        }));
        return command;
    }
}
