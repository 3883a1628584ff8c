using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>A node that has proved itself, and the certificates by which it is recognised.</summary>
/// <param name="SpiffeId">Its ID.</param>
/// <param name="Attestor">How it proved itself.</param>
/// <param name="Selectors">What the attestor found out about the node.</param>
/// <param name="SerialHex">The certificate that the agent uses.</param>
/// <param name="PendingHex">One that was signed for it and not yet used; its first use makes the other worthless, so that a copied one is noticed.</param>
/// <param name="NotAfter">When the newest of the two expires.</param>
/// <param name="AttestedAt">When it joined.</param>
/// <param name="Banned">Whether it was shut out.</param>
/// <param name="CanReattest">Whether it proves itself anew instead of renewing. What could be proved once only is never forgotten by itself.</param>
public sealed record AttestedAgent(
    SpiffeId SpiffeId,
    string Attestor,
    ImmutableArray<Selector> Selectors,
    string SerialHex,
    string? PendingHex,
    DateTimeOffset NotAfter,
    DateTimeOffset AttestedAt,
    bool Banned,
    bool CanReattest = false);

/// <summary>Keeps attested agents. Durable before a task completes.</summary>
public interface IAgentStore
{
    Task<IReadOnlyList<AttestedAgent>> LoadAsync(CancellationToken cancellationToken);

    /// <summary>Adds the agent or replaces the one with the same ID.</summary>
    Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken);

    /// <summary>Forgets agents.</summary>
    Task DeleteAsync(IReadOnlyList<SpiffeId> ids, CancellationToken cancellationToken);
}

/// <summary>A token that lets one agent join once.</summary>
/// <param name="Digest">SHA-256 of the token; the token itself is not kept.</param>
/// <param name="Alias">A further ID for the agent, under which entries can be registered; null for none.</param>
/// <param name="ExpiresAt">From when on it no longer counts.</param>
public sealed record JoinToken(ReadOnlyMemory<byte> Digest, SpiffeId? Alias, DateTimeOffset ExpiresAt)
{
    /// <summary>Until when whoever used it can be answered again; null while nobody has.</summary>
    public DateTimeOffset? UsedUntil { get; init; }
}

/// <summary>The use of a token.</summary>
/// <param name="Key">SHA-256 of the public key, whose possession was proved.</param>
/// <param name="At">When.</param>
/// <param name="Until">So long the same key may use it again.</param>
public sealed record JoinTokenUse(ReadOnlyMemory<byte> Key, DateTimeOffset At, DateTimeOffset Until);

/// <summary>Keeps join tokens. Durable before a task completes.</summary>
public interface IJoinTokenStore
{
    /// <summary>Adds a token; one that was used may be there again.</summary>
    /// <returns>False when the token exists already.</returns>
    Task<bool> AddAsync(JoinToken token, CancellationToken cancellationToken);

    /// <summary>The token, or null when there is none; it stays.</summary>
    Task<JoinToken?> FindAsync(ReadOnlyMemory<byte> digest, CancellationToken cancellationToken);

    /// <summary>In one step marks the token as used and keeps the agent that joined with it.</summary>
    /// <param name="digest">Which.</param>
    /// <param name="agent">Who joined, or was answered again.</param>
    /// <param name="use">By which key, and until when the same key may use it again.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>False when another key used the token before, or the same one too long ago; then nothing was changed.</returns>
    Task<bool> RedeemAsync(ReadOnlyMemory<byte> digest, AttestedAgent agent, JoinTokenUse use, CancellationToken cancellationToken);

    Task PruneAsync(DateTimeOffset now, CancellationToken cancellationToken);
}
