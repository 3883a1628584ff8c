using Signet.Policy;
using Signet.Proxy.L7;

namespace Signet.Proxy.Authorization;

/// <summary>
/// Asks policy about one connection or request, and the external authorisers that policy wants to be asked, until there is a decision. Each
/// authoriser is asked at most once.
/// </summary>
/// <param name="authorisers">Whom to ask.</param>
/// <param name="policy">The policies that hold for this decision from beginning to end.</param>
/// <param name="facts">What is known; answers are noted in it.</param>
/// <param name="fields">The request's fields, which an authoriser may change; empty for a TCP connection.</param>
internal sealed class Hearing(Authorisers authorisers, WorkloadPolicy policy, RequestFacts facts, List<KeyValuePair<string, string>> fields)
{
    private static readonly Reply Forbidden = new(403, []);

    private readonly List<FieldChange> _toDownstream = [];

    /// <summary>What authorisers change in the response.</summary>
    public IReadOnlyList<FieldChange> ToDownstream => _toDownstream;

    /// <summary>What the client gets instead of the proxy's own words, if an authoriser denied.</summary>
    public Reply? Reply { get; private set; }

    /// <summary>Which authorisers gave no answer and are passed over because they fail open; null when none.</summary>
    public string? PassedOver { get; private set; }

    /// <summary>Decides.</summary>
    /// <exception cref="OperationCanceledException">The connection was closed meanwhile.</exception>
    public async Task<Decision> DecideAsync(Func<CheckSubject> subject, CancellationToken cancellationToken)
    {
        var decision = policy.Decide(facts);
        while (decision.Ask is { Provider: var provider } question)
        {
            var answer = await authorisers.AskAsync(provider, subject(), cancellationToken).ConfigureAwait(false);
            facts.Answer(question, answer.ForPolicy);
            switch (answer.ForPolicy.Outcome)
            {
                case CustomOutcome.Allowed:
                    FieldChange.Apply(answer.ToUpstream, fields);
                    _toDownstream.AddRange(answer.ToDownstream);
                    break;
                case CustomOutcome.NoAnswer when provider.FailOpen:
                    PassedOver = $"the external authoriser \"{provider.Name}\" gave no answer ({answer.Reason}) and fails open";
                    break;
                default:
                    Reply = answer.Result == CheckResult.Denied ? answer.Reply ?? Forbidden : new Reply(provider.Authoriser?.StatusOnError ?? 403, []);
                    break;
            }

            decision = policy.Decide(facts);
        }

        return decision;
    }
}
