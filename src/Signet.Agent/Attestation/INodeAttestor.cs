using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation;

/// <summary>This node cannot prove itself; the message says what it lacks.</summary>
internal sealed class AttestationException(string message) : Exception(message)
{
    /// <summary>The server asked something that this attestor does not understand.</summary>
    public static AttestationException BadChallenge(string problem) => new($"the server's challenge is not understood: {Printable.Of(problem)}");
}

/// <summary>One way in which this node can prove what it is; the server has its counterpart. Used by one task.</summary>
internal interface INodeAttestor
{
    /// <summary>As it is named on the wire.</summary>
    string Type { get; }

    /// <summary>Begins one attestation, with whatever lies on this node at this moment.</summary>
    /// <exception cref="AttestationException">Something is missing; the message says what.</exception>
    Task<INodeAttestation> BeginAsync(CancellationToken cancellationToken);
}

/// <summary>One attestation under way. Whoever began it disposes it, at its end.</summary>
internal interface INodeAttestation : IAsyncDisposable
{
    /// <summary>What is shown first. May be a secret.</summary>
    ReadOnlyMemory<byte> Payload { get; }

    /// <summary>The answer to a challenge.</summary>
    /// <exception cref="AttestationException">The challenge is not one that this attestor knows.</exception>
    Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken);
}

/// <summary>An attestation that says all it has to say at once.</summary>
internal sealed class UnchallengedAttestation(ReadOnlyMemory<byte> payload) : INodeAttestation
{
    public ReadOnlyMemory<byte> Payload => payload;

    public Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken) =>
        throw AttestationException.BadChallenge("none was expected");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
