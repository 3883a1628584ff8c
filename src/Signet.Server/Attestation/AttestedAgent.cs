using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>A node that has proved itself, and the certificate it now holds.</summary>
public sealed record AttestedAgent(
    SpiffeId SpiffeId, string Attestor, ImmutableArray<Selector> Selectors, string SerialHex, DateTimeOffset NotAfter, DateTimeOffset AttestedAt, bool Banned);

/// <summary>Keeps attested agents. Durable before a task completes.</summary>
public interface IAgentStore
{
    Task<IReadOnlyList<AttestedAgent>> LoadAsync(CancellationToken cancellationToken);

    /// <summary>Adds the agent or replaces the one with the same ID.</summary>
    Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken);
}

/// <summary>A token that lets one agent join once.</summary>
/// <param name="Digest">SHA-256 of the token; the token itself is not kept.</param>
/// <param name="Alias">A further ID for the agent, under which entries can be registered; null for none.</param>
/// <param name="ExpiresAt">From when on it no longer counts.</param>
public sealed record JoinToken(ReadOnlyMemory<byte> Digest, SpiffeId? Alias, DateTimeOffset ExpiresAt);

/// <summary>Keeps join tokens. Durable before a task completes.</summary>
public interface IJoinTokenStore
{
    Task AddAsync(JoinToken token, CancellationToken cancellationToken);

    /// <summary>Takes the token out, so that of two callers at once only one gets it; null when there is none.</summary>
    Task<JoinToken?> TakeAsync(ReadOnlyMemory<byte> digest, CancellationToken cancellationToken);

    Task PruneAsync(DateTimeOffset now, CancellationToken cancellationToken);
}
