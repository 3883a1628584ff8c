using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting;
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
        var output = Answer.Option();
        return new Command("lint", "Find mistakes and traps in policies") { path, services, mesh, output }.Runs(parsed =>
        {
            var load = PolicyFiles.LoadPolicies(parsed.GetRequiredValue(path), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            var findings = Linter.Lint(load, parsed.GetValue(services) is { } file ? PolicyFiles.Load(file, ServicesFile.Read) : null);
            Answer.To(parsed, output).Write(() => new JsonArray([.. findings.Select(Json)]), answer => WriteText(answer, findings));
            return findings.Any(finding => finding.Severity == PolicySeverity.Error) ? ExitCode.Failed : ExitCode.Done;
        });
    }

    private static JsonObject Json(PolicyProblem finding) => new()
    {
        ["file"] = finding.File,
        ["line"] = finding.Line,
        ["code"] = finding.Code,
        ["severity"] = finding.Severity.Word(),
        ["message"] = finding.Message,
        ["hint"] = finding.Hint,
    };

    private static void WriteText(Answer answer, IReadOnlyList<PolicyProblem> findings)
    {
        foreach (var finding in findings)
        {
            var tone = finding.Severity switch
            {
                PolicySeverity.Error => Tone.Bad,
                PolicySeverity.Warning => Tone.Warning,
                _ => Tone.Faint,
            };
            answer.Out.WriteLine($"{OneLine.Of(finding.File)}:{finding.Line}: {answer.Ink.Of(finding.Severity.Word() + " " + finding.Code, tone)}: {OneLine.Of(finding.Message)}");
            if (finding.Hint is not null)
            {
                answer.Out.WriteLine($"  hint: {OneLine.Of(finding.Hint)}");
            }
        }

        if (findings.Count == 0)
        {
            answer.Out.WriteLine("nothing found");
        }
    }
}
