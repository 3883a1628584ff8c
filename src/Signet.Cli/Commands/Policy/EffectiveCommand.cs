using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy effective</c>: what a workload's ports do about mutual TLS, and which object says so.</summary>
public static class EffectiveCommand
{
    public static Command Create()
    {
        var policies = PolicyOptions.Policies();
        var workload = new Option<string>("--workload") { Description = "A workload: namespace, labels, ports", HelpName = "FILE", Required = true };
        var mesh = PolicyOptions.Mesh();
        var output = Answer.Option();
        return new Command("effective", "Show each port's mutual TLS mode and the object that supplied it") { policies, workload, mesh, output }.Runs(parsed =>
        {
            var set = PolicyFiles.LoadFaultless(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            var written = PolicyFiles.Load(parsed.GetRequiredValue(workload), WorkloadFile.Read);
            var policy = set.ForWorkload(written.Workload);
            var ports = written.Ports.Select(port => (Port: port, Mtls: policy.MtlsFor(port))).ToList();
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["ports"] = new JsonArray([.. ports.Select(one => new JsonObject { ["port"] = one.Port, ["mode"] = one.Mtls.Mode.Word(), ["from"] = one.Mtls.From })]) },
                answer =>
                {
                    var table = new Table("port", "mode", "from");
                    foreach (var (port, mtls) in ports)
                    {
                        table.Add(port.ToString(CultureInfo.InvariantCulture), mtls.Mode.Word(), mtls.From ?? "(default)");
                    }

                    table.Write(answer.Out, answer.Ink);
                });
            return ExitCode.Done;
        });
    }
}
