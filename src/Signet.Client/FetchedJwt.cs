using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Client;

/// <summary>A JWT-SVID that the Workload API gave. Immutable.</summary>
/// <param name="Id">Whose it is.</param>
/// <param name="Token">Compact JWS. Secret: whoever has it is taken for the workload until it expires.</param>
/// <param name="ExpiresAt">Until when it holds.</param>
/// <param name="Hint">What an operator says it is for; null when nothing.</param>
public sealed record FetchedJwt(SpiffeId Id, string Token, DateTimeOffset ExpiresAt, string? Hint)
{
    /// <summary>Without the token.</summary>
    public override string ToString() => $"JWT-SVID of {Id} until {ExpiresAt:u}";
}

/// <summary>What the Workload API says of a token that it believes. Immutable.</summary>
/// <param name="Id">Whose it is.</param>
/// <param name="Claims">A JSON object with the token's claims; empty when the agent keeps them to itself (§6.2.3).</param>
public sealed record ValidatedJwt(SpiffeId Id, JsonElement Claims);
