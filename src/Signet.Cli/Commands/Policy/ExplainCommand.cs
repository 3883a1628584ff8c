using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting;
using Signet.Policy;
using Signet.Policy.Explaining;
using Signet.Policy.Inputs;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy explain</c>: why policies allow or deny a request, what nearly matched, and what to do.</summary>
public static class ExplainCommand
{
    public static Command Create()
    {
        var options = new ExplainOptions();
        var command = new Command("explain", "Say why policies allow or deny a request, what nearly matched, and what is missing");
        foreach (var option in options.All)
        {
            command.Add(option);
        }

        return command.Runs(parsed =>
        {
            var set = PolicyFiles.LoadFaultless(parsed.GetRequiredValue(options.Policies), PolicyFiles.LoadMesh(parsed.GetValue(options.Mesh)));
            var requests = parsed.GetValue(options.Requests) is { } file ? PolicyFiles.Load(file, RequestFile.Read) : [options.ReadRequest(parsed)];
            var explained = requests.Select(request =>
            {
                var policy = set.ForWorkload(request.Destination);
                var decision = request.Decide(policy);
                return new Explained(request.Name, decision, Explainer.Explain(policy, request.Facts, decision));
            }).ToList();
            Answer.To(parsed, options.Output).Write(() => new JsonArray([.. explained.Select(Json)]), answer => explained.ForEach(one => WriteText(answer, one)));
            return ExitCode.Done;
        });
    }

    private static void WriteText(Answer answer, Explained one)
    {
        var verdict = one.Decision.Allowed ? answer.Ink.Of("allow", Tone.Good) : answer.Ink.Of("deny", Tone.Bad);
        answer.Out.WriteLine($"{OneLine.Of(one.Name)}: {verdict} ({one.Decision.Verdict.Stage.Word()})");
        answer.Out.WriteLine($"  {OneLine.Of(one.Explanation.Summary)}");
        foreach (var miss in one.Explanation.NearMisses)
        {
            answer.Out.WriteLine($"  near miss: {miss.Policy} rule {miss.Rule}");
            foreach (var clause in miss.Missing)
            {
                answer.Out.WriteLine($"    {OneLine.Of(clause.ToString())}");
            }

            if (miss.LeftOut is not null)
            {
                answer.Out.WriteLine($"    not considered: {OneLine.Of(miss.LeftOut)}");
            }
        }

        if (one.Explanation.NextStep is not null)
        {
            answer.Out.WriteLine($"  next step: {OneLine.Of(one.Explanation.NextStep)}");
        }
    }

    private static JsonObject Json(Explained one) => new()
    {
        ["name"] = one.Name,
        ["verdict"] = one.Decision.Allowed ? "allow" : "deny",
        ["stage"] = one.Decision.Verdict.Stage.Word(),
        ["policy"] = one.Decision.Verdict.Policy,
        ["rule"] = one.Decision.Verdict.Rule,
        ["summary"] = one.Explanation.Summary,
        ["nextStep"] = one.Explanation.NextStep,
        ["nearMisses"] = new JsonArray([.. one.Explanation.NearMisses.Select(Json)]),
    };

    private static JsonObject Json(NearMiss miss) => new()
    {
        ["policy"] = miss.Policy,
        ["rule"] = miss.Rule,
        ["notConsidered"] = miss.LeftOut,
        ["missing"] = new JsonArray([.. miss.Missing.Select(clause => new JsonObject
        {
            ["field"] = clause.Field,
            ["not"] = clause.Negated,
            ["wanted"] = new JsonArray([.. clause.Wanted.Select(value => JsonValue.Create(value))]),
            ["seen"] = clause.Seen,
        })]),
    };

    private sealed record Explained(string Name, Decision Decision, Explanation Explanation);
}
