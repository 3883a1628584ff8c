using System.CommandLine;
using System.Globalization;
using System.Text.Json;
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
        var output = PolicyOptions.Output();
        var command = new Command("check", "Say for each request in a file whether policies allow it, and why") { policies, requests, mesh, output };
        command.SetAction(parsed => PolicyOutput.Run(parsed, writer =>
        {
            var load = PolicyFiles.LoadPolicies(parsed.GetRequiredValue(policies), PolicyFiles.LoadMesh(parsed.GetValue(mesh)));
            if (load.HasErrors)
            {
                PolicyOutput.WriteProblems(parsed, load.Problems);
                return 1;
            }

            var answers = Decide(load.Set, PolicyFiles.Load(parsed.GetRequiredValue(requests), RequestFile.Read));
            if (parsed.GetValue(output) == "json")
            {
                PolicyOutput.WriteJson(writer, json => WriteJson(json, answers));
            }
            else
            {
                WriteText(writer, answers);
            }

            return 0;
        }));
        return command;
    }

    private static List<Answer> Decide(PolicySet set, IReadOnlyList<WrittenRequest> requests)
    {
        var compiled = new Dictionary<string, WorkloadPolicy>(StringComparer.Ordinal);
        return [.. requests.Select(request =>
        {
            var key = request.Destination.Namespace + "\n" + string.Join('\n', request.Destination.Labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => label.Key + "=" + label.Value));
            if (!compiled.TryGetValue(key, out var policy))
            {
                compiled.Add(key, policy = set.ForWorkload(request.Destination));
            }

            return new Answer(request.Name, request.Decide(policy), policy.MtlsFor(request.Facts.DestinationPort));
        })];
    }

    private static void WriteJson(Utf8JsonWriter json, List<Answer> answers)
    {
        json.WriteStartArray();
        foreach (var (name, decision, mtls) in answers)
        {
            var verdict = decision.Verdict;
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteString("verdict", decision.Allowed ? "allow" : "deny");
            json.WriteString("stage", verdict.Stage.Word());
            json.WriteString("policy", verdict.Policy);
            if (verdict.Rule is { } rule)
            {
                json.WriteNumber("rule", rule);
            }
            else
            {
                json.WriteNull("rule");
            }

            json.WriteString("reason", verdict.Reason);
            json.WriteString("mtls", mtls.Mode.Word());
            json.WriteStartArray("audit");
            foreach (var policy in verdict.Findings.Audit)
            {
                json.WriteStringValue(policy);
            }

            json.WriteEndArray();
            json.WriteStartArray("dryRun");
            foreach (var finding in verdict.Findings.DryRun)
            {
                json.WriteStartObject();
                json.WriteString("policy", finding.Policy);
                json.WriteString("action", finding.Action.Word());
                json.WriteNumber("rule", finding.Rule);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteText(TextWriter writer, List<Answer> answers) => PolicyOutput.WriteColumns(
        writer,
        ["REQUEST", "VERDICT", "STAGE", "POLICY", "RULE", "MTLS", "REASON"],
        [.. answers.Select(answer => (IReadOnlyList<string>)
        [
            answer.Name,
            answer.Decision.Allowed ? "allow" : "deny",
            answer.Decision.Verdict.Stage.Word(),
            answer.Decision.Verdict.Policy ?? "-",
            answer.Decision.Verdict.Rule?.ToString(CultureInfo.InvariantCulture) ?? "-",
            answer.Mtls.Mode.Word(),
            answer.Decision.Verdict.Reason,
        ])]);

    private sealed record Answer(string Name, Decision Decision, PortMtls Mtls);
}
