using Grpc.Core;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Rpc;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>A JWT-SVID that the Workload API gave.</summary>
/// <param name="Id">Whose it is.</param>
/// <param name="Token">Compact JWS. Secret.</param>
/// <param name="ExpiresAt">Until when it holds.</param>
/// <param name="Hint">What an operator says it is for; null when nothing.</param>
public sealed record FetchedJwt(SpiffeId Id, string Token, DateTimeOffset ExpiresAt, string? Hint)
{
    /// <summary>Without the token.</summary>
    public override string ToString() => $"JWT-SVID of {Id} until {ExpiresAt:u}";
}

/// <summary>The Workload API gave no token, or does not believe one; the message says why.</summary>
public sealed class JwtTokenException(string message) : Exception(message);

/// <summary>JWT-SVIDs from the Workload API (§6): one call each; the agent keeps them fresh.</summary>
public static class JwtTokens
{
    /// <summary>Tokens of the caller's identities for these audiences, the default identity first.</summary>
    /// <param name="address">Where the Workload API is.</param>
    /// <param name="audiences">At least one.</param>
    /// <param name="id">Of this identity only; null asks for all.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="RpcException">The Workload API refused or cannot be reached.</exception>
    /// <exception cref="JwtTokenException">Its answer does not hold.</exception>
    public static async Task<IReadOnlyList<FetchedJwt>> FetchAsync(
        WorkloadApiAddress address, IReadOnlyList<string> audiences, SpiffeId? id, TimeProvider time, CancellationToken cancellationToken)
    {
        using var channel = WorkloadApi.Connect(address, time);
        var request = new JWTSVIDRequest { SpiffeId = id?.Uri ?? "" };
        request.Audience.AddRange(audiences);
        var response = await new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchJWTSVIDAsync(request, WorkloadApi.Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        var fetched = response.Svids.Select(Read).ToList();
        return fetched.Count > 0 ? fetched : throw new JwtTokenException("the Workload API answered without a token");
    }

    /// <summary>Has the Workload API verify a token.</summary>
    /// <returns>Whose it is.</returns>
    /// <exception cref="JwtTokenException">The token is not believed; the message says why.</exception>
    /// <exception cref="RpcException">The Workload API refused or cannot be reached.</exception>
    public static async Task<string> ValidateAsync(WorkloadApiAddress address, string audience, string token, TimeProvider time, CancellationToken cancellationToken)
    {
        using var channel = WorkloadApi.Connect(address, time);
        try
        {
            var request = new ValidateJWTSVIDRequest { Audience = audience, Svid = token };
            return (await new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).ValidateJWTSVIDAsync(request, WorkloadApi.Options(cancellationToken)).ResponseAsync.ConfigureAwait(false)).SpiffeId;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.InvalidArgument)
        {
            throw new JwtTokenException(e.Status.Detail);
        }
    }

    private static FetchedJwt Read(JWTSVID wire)
    {
        if (!CompactJws.TryParse(wire.Svid, out var token, out var problem))
        {
            throw new JwtTokenException($"the Workload API answered what is no token: {problem}");
        }

        using (token)
        {
            return !JwtSvid.TryReadSubject(token, out var id, out problem) ? throw new JwtTokenException($"the Workload API's token does not hold: {problem}")
                : id.Uri != wire.SpiffeId ? throw new JwtTokenException($"the Workload API says {Printable.Of(wire.SpiffeId)}, but the token says {id}")
                : new FetchedJwt(id, wire.Svid, token.TryClaimTime("exp", out var expires) ? expires!.Value : default, wire.Hint.Length > 0 ? wire.Hint : null);
        }
    }
}
