using Signet.Policy.Objects;

namespace Signet.Policy.Engine;

/// <summary>The CUSTOM policies of a workload that share one external authoriser. Immutable, thread-safe.</summary>
internal sealed class CustomStage
{
    private readonly string _policyId;
    private readonly ExtensionProvider? _provider;
    private readonly RuleIndex _rules;
    private readonly Dictionary<CompiledRule, CustomQuestion> _questions;
    private readonly string _undefined;

    public CustomStage(AuthorizationPolicy first, ExtensionProvider? provider, IReadOnlyList<CompiledRule> rules)
    {
        (_policyId, _provider, _rules) = (first.Id, provider, new RuleIndex(rules));
        _questions = provider is null ? [] : rules.ToDictionary(rule => rule, rule => new CustomQuestion(provider, rule.Policy.Id, rule.Rule.Index));
        _undefined = $"denied: {first.Id} names the external authoriser \"{first.Provider}\", which the mesh does not define";
    }

    /// <summary>A denial, unless no rule matches or the authoriser said yes. A denial may be a question.</summary>
    public Decision? Denial(RequestFacts facts, Findings findings)
    {
        if (_provider is null)
        {
            return new Decision(new Verdict(Stage.Custom, _policyId, null, _undefined, findings), null);
        }

        if (_rules.FirstMatch(facts) is not { } rule)
        {
            return null;
        }

        var answer = facts.AnswerOf(_provider.Name);
        if (answer is null)
        {
            return Deny(rule, rule.Reason(facts), findings, _questions[rule]);
        }

        return answer.Value.Outcome switch
        {
            CustomOutcome.Allowed => null,
            CustomOutcome.NoAnswer when _provider.FailOpen => null,
            CustomOutcome.NoAnswer => Deny(rule, $"denied: the external authoriser \"{_provider.Name}\" gave no answer: {answer.Value.Reason}", findings, ask: null),
            _ => Deny(rule, $"denied by the external authoriser \"{_provider.Name}\": {answer.Value.Reason}", findings, ask: null),
        };
    }

    private static Decision Deny(CompiledRule rule, string reason, Findings findings, CustomQuestion? ask) =>
        new(new Verdict(Stage.Custom, rule.PolicyId, rule.Rule.Index, reason, findings), null, ask);
}
