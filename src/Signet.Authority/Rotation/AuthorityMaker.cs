using System.Globalization;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>Makes authorities that are prepared: key first, then certificate; remembering them is the caller's part.</summary>
internal sealed class AuthorityMaker(AuthorityPlan plan, IKeyManager keys)
{
    public async Task<X509AuthorityRecord> MakeAnchorAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var keyName = NewKeyName("anchor", now);
        var key = await keys.GenerateAsync(keyName, plan.KeyType, cancellationToken).ConfigureAwait(false);
        var certificate = AuthorityTemplates
            .Anchor(plan.TrustDomain, plan.Subject, KeyPair.ExportPublicKey(key), new Validity(now - AuthorityPlan.Backdate, now + plan.AnchorTtl))
            .SignSelf(key);
        return Checked(AuthorityTier.Anchor, certificate, keyName);
    }

    public async Task<X509AuthorityRecord> MakeIssuingAsync(X509AuthorityRecord anchor, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var anchorKey = await keys.FindAsync(anchor.KeyName, cancellationToken).ConfigureAwait(false)
            ?? throw new KeyManagerException($"the key of trust anchor {anchor.Id} is not in the key manager");
        var validity = SvidRenewal.Granted(plan.IssuingTtl, AuthorityPlan.Backdate, anchor.Validity, now);
        if (!validity.Covers(now))
        {
            throw new KeyManagerException(anchor.Validity.HasExpired(now)
                ? $"trust anchor {anchor.Id} expired at {anchor.Validity.NotAfter:u}, and this machine's clock says {now:u}; if that is right, start with an empty data folder to found a new trust domain"
                : $"trust anchor {anchor.Id} is valid from {anchor.Validity.NotBefore:u} on, but this machine's clock says {now:u}; set it right");
        }

        var keyName = NewKeyName("issuing", now);
        var key = await keys.GenerateAsync(keyName, plan.KeyType, cancellationToken).ConfigureAwait(false);
        var certificate = AuthorityTemplates.Issuing(plan.TrustDomain, plan.Subject, KeyPair.ExportPublicKey(key), validity).Sign(anchor.Certificate, anchorKey);
        return Checked(AuthorityTier.Issuing, certificate, keyName);
    }

    /// <summary>Makes a key for JWT-SVIDs or WIT-SVIDs. It lives as long as an issuing authority.</summary>
    public async Task<JwtAuthorityRecord> MakeTokenKeyAsync(AuthorityTier tier, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var keyName = NewKeyName(tier == AuthorityTier.Wit ? "wit" : "jwt", now);
        var key = await keys.GenerateAsync(keyName, tier == AuthorityTier.Wit ? plan.KeyType : plan.JwtKeyType, cancellationToken).ConfigureAwait(false);
        var info = KeyPair.ExportPublicKey(key);

        // The store keeps whole milliseconds; what is remembered must be what is published.
        var expiresAt = DateTimeOffset.FromUnixTimeSeconds((now + plan.IssuingTtl).ToUnixTimeSeconds());
        return JwtAuthority.TryCreate(JwtAuthority.KeyIdOf(info), info, expiresAt, out var authority, out var problem)
            ? new JwtAuthorityRecord(tier, SlotState.Prepared, authority, now - AuthorityPlan.Backdate, keyName)
            : throw new InvalidOperationException($"the {tier} key just made does not hold: {problem}");
    }

    /// <summary>Takes an issuing authority over that somebody else made: its key is kept like any other.</summary>
    public async Task<X509AuthorityRecord> ImportAsync(ExternalIssuer issuer, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var keyName = NewKeyName("issuing", now);
        await keys.ImportAsync(keyName, issuer.Key, cancellationToken).ConfigureAwait(false);
        return new X509AuthorityRecord(issuer.Certificate.SerialHex, AuthorityTier.Issuing, SlotState.Prepared, issuer.Certificate, keyName) { Above = [.. issuer.Above] };
    }

    private X509AuthorityRecord Checked(AuthorityTier tier, Certificate certificate, string keyName) =>
        X509SvidProfile.TryCheckAuthority(certificate, plan.TrustDomain, out var problem)
            ? new X509AuthorityRecord(certificate.SerialHex, tier, SlotState.Prepared, certificate, keyName)
            : throw new InvalidOperationException($"the {tier} certificate just made breaks the profile: {problem}");

    private static string NewKeyName(string tier, DateTimeOffset now) =>
        $"{tier}-{now.UtcDateTime.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture)}-{Guid.NewGuid():N}";
}
