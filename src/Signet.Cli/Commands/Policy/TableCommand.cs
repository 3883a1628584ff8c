using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
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
        var output = Answer.Option();
        return new Command("table", "Show for each client and service whether both sides agree on mutual TLS, and the objects behind each side") { policies, services, mesh, output }.Runs(parsed =>
        {
            var set = PolicyFiles.LoadFaultless(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            var rows = TruthTable.Of(set, PolicyFiles.Load(parsed.GetRequiredValue(services), ServicesFile.Read));
            Answer.To(parsed, output).Write(() => new JsonArray([.. rows.Select(Json)]), answer => Text(rows).Write(answer.Out, answer.Ink));
            return ExitCode.Done;
        });
    }

    private static JsonObject Json(TableRow row) => new()
    {
        ["name"] = row.Name,
        ["server"] = row.Server.Mode.Word(),
        ["serverFrom"] = row.Server.From,
        ["client"] = row.Client.Mode.Word(),
        ["clientFrom"] = row.Client.From,
        ["verdict"] = row.Verdict.Word(),
    };

    private static Table Text(IReadOnlyList<TableRow> rows)
    {
        var table = new Table("service", "server", "from", "client", "from", "verdict");
        foreach (var row in rows)
        {
            var tone = row.Verdict switch
            {
                TableVerdict.Ok => Tone.Good,
                TableVerdict.Plaintext => Tone.Warning,
                _ => Tone.Bad,
            };
            table.Add(row.Name, row.Server.Mode.Word(), row.Server.From ?? "-", row.Client.Mode.Word(), row.Client.From ?? "-", new Cell(row.Verdict.Word(), tone));
        }

        return table;
    }
}
