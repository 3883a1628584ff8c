using System.CommandLine;
using System.Globalization;
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
        var output = PolicyOptions.Output();
        var command = new Command("effective", "Show each port's mutual TLS mode and the object that supplied it") { policies, workload, mesh, output };
        command.SetAction(parsed => PolicyOutput.Run(parsed, writer =>
        {
            var load = PolicyFiles.LoadPolicies(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            if (load.HasErrors)
            {
                PolicyOutput.WriteProblems(parsed, load.Problems);
                return 1;
            }

            var written = PolicyFiles.Load(parsed.GetRequiredValue(workload), WorkloadFile.Read);
            var policy = load.Set.ForWorkload(written.Workload);
            var ports = written.Ports.Select(port => (Port: port, Mtls: policy.MtlsFor(port))).ToList();
            if (parsed.GetValue(output) == "json")
            {
                PolicyOutput.WriteJson(writer, json =>
                {
                    json.WriteStartObject();
                    json.WriteStartArray("ports");
                    foreach (var (port, mtls) in ports)
                    {
                        json.WriteStartObject();
                        json.WriteNumber("port", port);
                        json.WriteString("mode", mtls.Mode.Word());
                        json.WriteString("from", mtls.From);
                        json.WriteEndObject();
                    }

                    json.WriteEndArray();
                    json.WriteEndObject();
                });
            }
            else
            {
                PolicyOutput.WriteColumns(writer, ["PORT", "MODE", "FROM"], [.. ports.Select(one => (IReadOnlyList<string>)
                    [one.Port.ToString(CultureInfo.InvariantCulture), one.Mtls.Mode.Word(), one.Mtls.From ?? "(default)"])]);
            }

            return 0;
        }));
        return command;
    }
}
