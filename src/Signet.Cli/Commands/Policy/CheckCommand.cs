using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy check</c>: what policies say about requests that are written down.</summary>
public static class CheckCommand
{
    public static Command Create()
    {
        var policies = PolicyOptions.Policies();
        var requests = new Option<string>("--requests") { Description = "A list of requests", HelpName = "FILE", Required = true };
        var mesh = PolicyOptions.Mesh();
        var output = Answer.Option();
        return new Command("check", "Say for each request in a file whether policies allow it, and why") { policies, requests, mesh, output }.Runs(parsed =>
        {
            var set = PolicyFiles.LoadFaultless(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            var checks = Decide(set, PolicyFiles.Load(parsed.GetRequiredValue(requests), RequestFile.Read));
            Answer.To(parsed, output).Write(() => new JsonArray([.. checks.Select(Json)]), answer => Text(checks).Write(answer.Out, answer.Ink));
            return ExitCode.Done;
        });
    }

    private static List<Check> Decide(PolicySet set, IReadOnlyList<WrittenRequest> requests)
    {
        var compiled = new Dictionary<string, WorkloadPolicy>(StringComparer.Ordinal);
        return [.. requests.Select(request =>
        {
            if (!compiled.TryGetValue(request.Destination.Key, out var policy))
            {
                compiled.Add(request.Destination.Key, policy = set.ForWorkload(request.Destination));
            }

            return new Check(request.Name, request.Decide(policy), policy.MtlsFor(request.Facts.DestinationPort));
        })];
    }

    private static JsonObject Json(Check check)
    {
        var verdict = check.Decision.Verdict;
        return new JsonObject
        {
            ["name"] = check.Name,
            ["verdict"] = check.Decision.Allowed ? "allow" : "deny",
            ["stage"] = verdict.Stage.Word(),
            ["policy"] = verdict.Policy,
            ["rule"] = verdict.Rule,
            ["reason"] = verdict.Reason,
            ["mtls"] = check.Mtls.Mode.Word(),
            ["audit"] = new JsonArray([.. verdict.Findings.Audit.Select(policy => JsonValue.Create(policy))]),
            ["dryRun"] = new JsonArray([.. verdict.Findings.DryRun.Select(finding => new JsonObject
            {
                ["policy"] = finding.Policy,
                ["action"] = finding.Action.Word(),
                ["rule"] = finding.Rule,
            })]),
        };
    }

    private static Table Text(List<Check> checks)
    {
        var table = new Table("request", "verdict", "stage", "policy", "rule", "mtls", "reason");
        foreach (var (name, decision, mtls) in checks)
        {
            table.Add(
                name,
                decision.Allowed ? new Cell("allow", Tone.Good) : new Cell("deny", Tone.Bad),
                decision.Verdict.Stage.Word(),
                decision.Verdict.Policy ?? "-",
                decision.Verdict.Rule?.ToString(CultureInfo.InvariantCulture) ?? "-",
                mtls.Mode.Word(),
                decision.Verdict.Reason);
        }

        return table;
    }

    private sealed record Check(string Name, Decision Decision, PortMtls Mtls);
}
