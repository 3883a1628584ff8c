using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>What a node proved to be, and what its proof is worth the next time.</summary>
/// <param name="SpiffeId">The agent's ID.</param>
/// <param name="Selectors">What was found out about the node.</param>
public abstract record NodeProof(SpiffeId SpiffeId, ImmutableArray<Selector> Selectors)
{
    /// <summary>It can be shown anew and is then as fresh as the first time, so the agent attests again instead of renewing.</summary>
    public sealed record Repeatable(SpiffeId SpiffeId, ImmutableArray<Selector> Selectors) : NodeProof(SpiffeId, Selectors);

    /// <summary>Others on the node could show it too: only the first counts, until an operator evicts the agent.</summary>
    public sealed record FirstUseOnly(SpiffeId SpiffeId, ImmutableArray<Selector> Selectors) : NodeProof(SpiffeId, Selectors);

    /// <summary>Showing it uses it up.</summary>
    /// <param name="SpiffeId">The agent's ID.</param>
    /// <param name="Selectors">What was found out about the node.</param>
    /// <param name="Alias">A further ID by which the agent can be addressed; null for none.</param>
    /// <param name="WasUsed">Whether it was used a moment ago, by an agent that may never have had its answer: it serves the same key again, as long as the agent is still known.</param>
    /// <param name="RedeemAsync">In one step uses the proof up for the key (<c>SubjectPublicKeyInfo</c>) and keeps the agent; false when another key was faster.</param>
    public sealed record SingleUse(SpiffeId SpiffeId, ImmutableArray<Selector> Selectors, SpiffeId? Alias, bool WasUsed, Func<AttestedAgent, ReadOnlyMemory<byte>, Task<bool>> RedeemAsync)
        : NodeProof(SpiffeId, Selectors);
}

/// <summary>Why a node is not admitted.</summary>
public enum NodeProblem
{
    None,

    /// <summary>What it sent does not have the form.</summary>
    Malformed,

    /// <summary>What it sent proves nothing.</summary>
    Refused,

    /// <summary>Nobody can say now, because something that the server must ask does not answer.</summary>
    Unavailable,
}

/// <summary>The answer of an attestor. Immutable.</summary>
public sealed record NodeVerdict
{
    private NodeVerdict(NodeProof? proof, NodeProblem problem, string reason, string told) => (Proof, Problem, Reason, Told) = (proof, problem, reason, told);

    /// <summary>What was proved; null when nothing was.</summary>
    public NodeProof? Proof { get; }

    public NodeProblem Problem { get; }

    /// <summary>For the operator; empty when the node proved itself.</summary>
    public string Reason { get; }

    /// <summary>For the node, which is a stranger still: nothing that it does not know already.</summary>
    public string Told { get; }

    public static NodeVerdict Proven(NodeProof proof) => new(proof, NodeProblem.None, "", "");

    public static NodeVerdict Malformed(string reason) => new(null, NodeProblem.Malformed, reason, reason);

    /// <param name="reason">For the operator.</param>
    /// <param name="told">For the node, when the reason says too much.</param>
    public static NodeVerdict Refused(string reason, string? told = null) => new(null, NodeProblem.Refused, reason, told ?? reason);

    /// <inheritdoc cref="Refused"/>
    public static NodeVerdict Unavailable(string reason, string told) => new(null, NodeProblem.Unavailable, reason, told);
}
