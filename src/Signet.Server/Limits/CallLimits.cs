using Signet.Hosting.Limits;
using Signet.Identity.Spiffe;
using Signet.Server.Access;

namespace Signet.Server.Limits;

/// <summary>A limit that a caller ran into.</summary>
/// <param name="Name">As in the configuration and in metrics.</param>
/// <param name="Rate">What it allows.</param>
internal sealed record ReachedLimit(string Name, Rate Rate)
{
    public string Reason => $"limits.{Name} is reached: {Rate}; slow down, or have it raised";
}

/// <summary>How often each caller may call. Thread-safe.</summary>
internal sealed class CallLimits(LimitsConfig config, TimeProvider time)
{
    private const string Attest = "/spire.api.server.agent.v1.Agent/AttestAgent";

    private readonly TokenBuckets<string> _attest = new(config.Attest, time);
    private readonly TokenBuckets<string> _strangers = new(config.Strangers, time);
    private readonly TokenBuckets<SpiffeId> _agents = new(config.Agents, time);
    private readonly TokenBuckets<string> _operators = new(config.Operators, time);
    private readonly TokenBuckets<SpiffeId> _signing = new(config.Signing, time);

    /// <summary>Takes a call's turn.</summary>
    /// <returns>Null when it may go on.</returns>
    public ReachedLimit? TakeCall(string method, Caller caller) => caller switch
    {
        Caller.Anonymous stranger when method == Attest => Take(_attest, $"{stranger.Address}", 1, "attest"),
        Caller.Anonymous stranger => Take(_strangers, $"{stranger.Address}", 1, "strangers"),
        Caller.Agent agent => Take(_agents, agent.Id, 1, "agents"),
        Caller.Local local => Take(_operators, $"uid {local.Uid}", 1, "operators"),
        _ => Take(_operators, caller.Name, 1, "operators"),
    };

    /// <summary>Takes the turn of signatures.</summary>
    /// <returns>Null when it may go on.</returns>
    public ReachedLimit? TakeSignatures(SpiffeId caller, int count) => Take(_signing, caller, count, "signing");

    private static ReachedLimit? Take<TKey>(TokenBuckets<TKey> buckets, TKey caller, int count, string name)
        where TKey : notnull => buckets.TryTake(caller, count) ? null : new ReachedLimit(name, buckets.Rate);
}
