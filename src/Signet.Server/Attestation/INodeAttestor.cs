namespace Signet.Server.Attestation;

/// <summary>One way in which a node proves what it is. Thread-safe. What every implementation keeps is in docs/reference/attestation.md.</summary>
public interface INodeAttestor
{
    /// <summary>As agents name it on the wire and IDs carry it: <c>join_token</c>, <c>x509pop</c>.</summary>
    string Type { get; }

    /// <summary>Judges one node. Whatever the node sends is an answer, not an exception; only what the server itself lacks may throw.</summary>
    /// <param name="node">What the node shows, and a way to challenge it.</param>
    /// <param name="cancellationToken">The node has gone, or had its time.</param>
    Task<NodeVerdict> AttestAsync(NodeExchange node, CancellationToken cancellationToken);
}

/// <summary>Sends a challenge and waits for the answer, as an attestor understands both.</summary>
public delegate Task<ReadOnlyMemory<byte>> NodeChallenge(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken);

/// <summary>The conversation with a node that wants to join.</summary>
/// <param name="payload">What it showed first, at most <see cref="MaxMessage"/> bytes.</param>
/// <param name="challenge">Asks it something.</param>
public sealed class NodeExchange(ReadOnlyMemory<byte> payload, NodeChallenge challenge)
{
    /// <summary>The longest payload or answer, in bytes: five certificates with room to spare.</summary>
    public const int MaxMessage = 64 * 1024;

    public ReadOnlyMemory<byte> Payload => payload;

    public Task<ReadOnlyMemory<byte>> ChallengeAsync(ReadOnlyMemory<byte> question, CancellationToken cancellationToken) => challenge(question, cancellationToken);
}
