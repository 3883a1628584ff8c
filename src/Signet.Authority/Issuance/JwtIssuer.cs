using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Authority.Issuance;

/// <summary>A signed token.</summary>
/// <param name="Token">Compact JWS. Secret.</param>
/// <param name="SpiffeId">Whose it is.</param>
/// <param name="IssuedAt">When it was signed, whole seconds.</param>
/// <param name="ExpiresAt">Until when it holds, whole seconds.</param>
public sealed record IssuedJwt(string Token, SpiffeId SpiffeId, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt)
{
    /// <summary>Without the token.</summary>
    public override string ToString() => $"JWT-SVID of {SpiffeId} until {ExpiresAt:u}";
}

/// <summary>Signs JWT-SVIDs, and hands out none that does not verify. Thread-safe.</summary>
/// <param name="authorities">Whose key signs.</param>
/// <param name="time">The clock.</param>
/// <param name="issuer">The <c>iss</c>, for readers outside SPIFFE; null for none.</param>
/// <param name="failed">Called each time that nothing could be signed.</param>
/// <param name="algorithm">What tokens are signed with when it goes with the key; null for the key's usual one.</param>
public sealed class JwtIssuer(AuthorityRotation authorities, TimeProvider time, string? issuer = null, Action? failed = null, JwsAlgorithm? algorithm = null)
{
    /// <summary>Signs a token. Whether the caller may ask is decided before.</summary>
    /// <param name="id">The subject.</param>
    /// <param name="audiences">Whom it is for; checked by <see cref="JwtSvid.TryCheckAudiences"/>.</param>
    /// <param name="ttl">The lifetime wished for; cut to the key's.</param>
    /// <exception cref="IssuanceException">The key has expired, or the finished token does not hold.</exception>
    public IssuedJwt Issue(SpiffeId id, IReadOnlyList<string> audiences, TimeSpan ttl)
    {
        try
        {
            return Sign(id, audiences, ttl);
        }
        catch
        {
            failed?.Invoke();
            throw;
        }
    }

    private IssuedJwt Sign(SpiffeId id, IReadOnlyList<string> audiences, TimeSpan ttl)
    {
        var snapshot = authorities.Current;
        var now = time.GetUtcNow();
        var key = snapshot.Jwt;
        var wanted = now + ttl;
        var issuedAt = DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds());
        var expiresAt = DateTimeOffset.FromUnixTimeSeconds((wanted < key.Validity.NotAfter ? wanted : key.Validity.NotAfter).ToUnixTimeSeconds());
        if (!key.Validity.Covers(now))
        {
            throw new IssuanceException($"JWT key {key.KeyId} is valid from {key.Validity.NotBefore:u} to {key.Validity.NotAfter:u}, and the server's clock says {now:u}");
        }

        var token = JwtSvid.Sign(id, audiences, issuedAt, expiresAt, key.KeyId, key.Key, issuer, algorithm);
        var verdict = JwtSvidVerifier.Verify(token, trustDomain => trustDomain == snapshot.JwtBundle.TrustDomain ? snapshot.JwtBundle : null, audiences[0], now);
        return verdict.Id == id
            ? new IssuedJwt(token, id, issuedAt, expiresAt)
            : throw new IssuanceException($"the token just signed for {id} does not hold: {verdict.Reason}");
    }
}
