using System.CommandLine;
using Signet.Policy;
using Signet.Policy.Inputs;
using Signet.Policy.Linting;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy lint</c>: what is wrong or doubtful in policies, with stable codes.</summary>
public static class LintCommand
{
    public static Command Create()
    {
        var path = new Argument<string>("PATH") { Description = "A policy file, or a folder of them" };
        var services = new Option<string?>("--services") { Description = "A list of services and their clients, to check selectors, ports and both sides of TLS", HelpName = "FILE" };
        var mesh = PolicyOptions.Mesh();
        var output = PolicyOptions.Output();
        var command = new Command("lint", "Find mistakes and traps in policies") { path, services, mesh, output };
        command.SetAction(parsed => PolicyOutput.Run(parsed, writer =>
        {
            var load = PolicyFiles.LoadPolicies(parsed.GetRequiredValue(path), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            var findings = Linter.Lint(load, parsed.GetValue(services) is { } file ? PolicyFiles.Load(file, ServicesFile.Read) : null);
            if (parsed.GetValue(output) == "json")
            {
                PolicyOutput.WriteJson(writer, json =>
                {
                    json.WriteStartArray();
                    foreach (var finding in findings)
                    {
                        json.WriteStartObject();
                        json.WriteString("file", finding.File);
                        json.WriteNumber("line", finding.Line);
                        json.WriteString("code", finding.Code);
                        json.WriteString("severity", finding.Severity.Word());
                        json.WriteString("message", finding.Message);
                        json.WriteString("hint", finding.Hint);
                        json.WriteEndObject();
                    }

                    json.WriteEndArray();
                });
            }
            else
            {
                WriteText(writer, findings);
            }

            return findings.Any(finding => finding.Severity == PolicySeverity.Error) ? 1 : 0;
        }));
        return command;
    }

    private static void WriteText(TextWriter writer, IReadOnlyList<PolicyProblem> findings)
    {
        foreach (var finding in findings)
        {
            writer.WriteLine($"{finding.File}:{finding.Line}: {finding.Severity.Word()} {finding.Code}: {finding.Message}");
            if (finding.Hint is not null)
            {
                writer.WriteLine($"  hint: {finding.Hint}");
            }
        }

        if (findings.Count == 0)
        {
            writer.WriteLine("nothing found");
        }
    }
}
