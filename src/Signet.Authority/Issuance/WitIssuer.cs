using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Authority.Issuance;

/// <summary>A signed token.</summary>
/// <param name="Token">Compact JWS.</param>
/// <param name="SpiffeId">Whose it is.</param>
/// <param name="IssuedAt">When it was signed, whole seconds.</param>
/// <param name="ExpiresAt">Until when it holds, whole seconds.</param>
public sealed record IssuedWit(string Token, SpiffeId SpiffeId, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt)
{
    /// <summary>Without the token.</summary>
    public override string ToString() => $"WIT-SVID of {SpiffeId} until {ExpiresAt:u}";
}

/// <summary>Signs WIT-SVIDs, and hands out none that does not verify. Thread-safe.</summary>
/// <param name="authorities">Whose key signs.</param>
/// <param name="time">The clock.</param>
/// <param name="failed">Called each time that nothing could be signed.</param>
public sealed class WitIssuer(AuthorityRotation authorities, TimeProvider time, Action? failed = null)
{
    /// <summary>Signs a token. Whether the caller may ask is decided before.</summary>
    /// <param name="id">The subject.</param>
    /// <param name="publicKey">The workload's key, an encoded <c>SubjectPublicKeyInfo</c>; EC or RSA (WIT-SVID §3.2). Its holder proves possession with each use.</param>
    /// <param name="ttl">The lifetime wished for; cut to the signing key's.</param>
    /// <exception cref="ArgumentException">The workload's key is weak, or of a kind that signs no tokens.</exception>
    /// <exception cref="IssuanceException">There is no key that signs, or it has expired, or the finished token does not hold.</exception>
    public IssuedWit Issue(SpiffeId id, ReadOnlyMemory<byte> publicKey, TimeSpan ttl)
    {
        if (!JwsKey.TryCreate(publicKey, keyId: null, algorithm: null, out var confirmation, out var problem))
        {
            throw new ArgumentException(problem, nameof(publicKey));
        }

        try
        {
            return Sign(id, confirmation, ttl);
        }
        catch
        {
            failed?.Invoke();
            throw;
        }
    }

    private IssuedWit Sign(SpiffeId id, JwsKey confirmation, TimeSpan ttl)
    {
        var (snapshot, now) = (authorities.Current, time.GetUtcNow());
        var key = snapshot.Wit ?? throw new IssuanceException("there is no key for WIT-SVIDs; write features: [wit] and start the server again");
        if (!key.Validity.Covers(now))
        {
            throw new IssuanceException($"WIT key {key.KeyId} is valid from {key.Validity.NotBefore:u} to {key.Validity.NotAfter:u}, and the server's clock says {now:u}");
        }

        var wanted = now + ttl;
        var issuedAt = DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds());
        var expiresAt = DateTimeOffset.FromUnixTimeSeconds((wanted < key.Validity.NotAfter ? wanted : key.Validity.NotAfter).ToUnixTimeSeconds());
        var token = WitSvid.Sign(id, confirmation, issuedAt, issuedAt - AuthorityPlan.Backdate, expiresAt, key.KeyId, key.Key);
        var verdict = WitSvid.Verify(token, trustDomain => trustDomain == snapshot.WitBundle.TrustDomain ? snapshot.WitBundle : null, now);
        return verdict.Id == id && verdict.Confirmation!.SubjectPublicKeyInfo.Span.SequenceEqual(confirmation.SubjectPublicKeyInfo.Span)
            ? new IssuedWit(token, id, issuedAt, expiresAt)
            : throw new IssuanceException($"the token just signed for {id} does not hold: {verdict.Reason}");
    }
}
