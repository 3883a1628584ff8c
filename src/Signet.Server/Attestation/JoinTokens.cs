using System.Security.Cryptography;
using System.Text;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>A token as its owner gets it, once.</summary>
public sealed record IssuedJoinToken(string Token, SpiffeId AgentId, SpiffeId? Alias, DateTimeOffset ExpiresAt)
{
    /// <summary>Whether an agent joined with it a moment ago, which may never have had its answer.</summary>
    public bool WasUsed { get; init; }
}

/// <summary>
/// Makes and takes join tokens: 128 random bits, single use, known to the store by digest only. The key that used one may use it again for a moment, since
/// its answer may have been lost; for every other key it is gone.
/// </summary>
public sealed class JoinTokens(TrustDomain trustDomain, IJoinTokenStore store, TimeProvider time)
{
    public const string Attestor = "join_token";

    /// <summary>What whoever comes too late or without a token is told.</summary>
    public const string Refusal = "join token is unknown, used or expired; make a new one: signet token create";

    public static readonly TimeSpan DefaultTtl = TimeSpan.FromMinutes(10);
    public static readonly TimeSpan MaxTtl = TimeSpan.FromDays(7);

    /// <summary>So long after its use a token still serves the key that used it.</summary>
    public static readonly TimeSpan AnswerAgain = TimeSpan.FromMinutes(2);

    /// <summary>The longest token, in characters; it becomes part of the agent's ID.</summary>
    public const int MaxTokenLength = 128;

    /// <param name="token">The token's text, or empty to have one made.</param>
    /// <returns>Null when that token exists already.</returns>
    public async Task<IssuedJoinToken?> CreateAsync(string token, TimeSpan ttl, SpiffeId? alias, CancellationToken cancellationToken)
    {
        var text = token.Length > 0 ? token : new Guid(RandomNumberGenerator.GetBytes(16)).ToString();
        var agent = ReservedIds.Agent(trustDomain, Attestor, text);
        var expiresAt = time.GetUtcNow() + ttl;
        return await store.AddAsync(new JoinToken(Digest(text), alias, expiresAt), cancellationToken).ConfigureAwait(false)
            ? new IssuedJoinToken(text, agent, alias, expiresAt)
            : null;
    }

    /// <summary>The token, unused or used a moment ago; null when it never was, was used before or is too old. The three are not told apart to the caller.</summary>
    public async Task<IssuedJoinToken?> FindAsync(string token, CancellationToken cancellationToken) =>
        token.Length is > 0 and <= MaxTokenLength
        && await store.FindAsync(Digest(token), cancellationToken).ConfigureAwait(false) is { } found
        && (found.UsedUntil ?? found.ExpiresAt) > time.GetUtcNow()
            ? new IssuedJoinToken(token, ReservedIds.Agent(trustDomain, Attestor, token), found.Alias, found.ExpiresAt) { WasUsed = found.UsedUntil is not null }
            : null;

    /// <summary>Uses the token up for the agent, in one step; false when another key was faster.</summary>
    /// <param name="token">Which.</param>
    /// <param name="agent">Who joins.</param>
    /// <param name="publicKey">Its encoded <c>SubjectPublicKeyInfo</c>, whose possession was proved.</param>
    public Task<bool> RedeemAsync(IssuedJoinToken token, AttestedAgent agent, ReadOnlyMemory<byte> publicKey)
    {
        var now = time.GetUtcNow();
        return store.RedeemAsync(Digest(token.Token), agent, new JoinTokenUse(SHA256.HashData(publicKey.Span), now, now + AnswerAgain), CancellationToken.None);
    }

    private static byte[] Digest(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
