using System.Globalization;
using System.Security.Cryptography;
using Signet.Authority.Keys;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>Makes authorities that are prepared: key first, then certificate; remembering them is the caller's part.</summary>
internal sealed class AuthorityMaker(AuthorityPlan plan, IKeyManager keys)
{
    private const int IssuingPathLength = 0;

    public async Task<X509AuthorityRecord> MakeAnchorAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var keyName = NewKeyName("anchor", now);
        var key = await keys.GenerateAsync(keyName, plan.KeyType, cancellationToken).ConfigureAwait(false);
        var certificate = Template(key, new Validity(now - AuthorityPlan.Backdate, now + plan.AnchorTtl), "trust anchor", pathLength: null).SignSelf(key);
        return Checked(AuthorityTier.Anchor, certificate, keyName);
    }

    public async Task<X509AuthorityRecord> MakeIssuingAsync(X509AuthorityRecord anchor, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var anchorKey = await keys.FindAsync(anchor.KeyName, cancellationToken).ConfigureAwait(false)
            ?? throw new KeyManagerException($"the key of trust anchor {anchor.Id} is not in the key manager");
        var validity = SvidRenewal.Granted(plan.IssuingTtl, AuthorityPlan.Backdate, anchor.Validity, now);
        if (!validity.Covers(now))
        {
            throw new KeyManagerException($"trust anchor {anchor.Id} expired at {anchor.Validity.NotAfter:u}; the time now is {now:u}");
        }

        var keyName = NewKeyName("issuing", now);
        var key = await keys.GenerateAsync(keyName, plan.KeyType, cancellationToken).ConfigureAwait(false);
        return Checked(AuthorityTier.Issuing, Template(key, validity, "issuing authority", IssuingPathLength).Sign(anchor.Certificate, anchorKey), keyName);
    }

    /// <summary>Makes a key for JWT-SVIDs. It lives as long as an issuing authority.</summary>
    public async Task<JwtAuthorityRecord> MakeJwtAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var keyName = NewKeyName("jwt", now);
        var key = await keys.GenerateAsync(keyName, plan.KeyType, cancellationToken).ConfigureAwait(false);
        var info = KeyPair.ExportPublicKey(key);

        // The store keeps whole milliseconds; what is remembered must be what is published.
        var expiresAt = DateTimeOffset.FromUnixTimeSeconds((now + plan.IssuingTtl).ToUnixTimeSeconds());
        return JwtAuthority.TryCreate(JwtAuthority.KeyIdOf(info), info, expiresAt, out var authority, out var problem)
            ? new JwtAuthorityRecord(SlotState.Prepared, authority, now - AuthorityPlan.Backdate, keyName)
            : throw new InvalidOperationException($"the JWT key just made does not hold: {problem}");
    }

    private X509AuthorityRecord Checked(AuthorityTier tier, Certificate certificate, string keyName) =>
        X509SvidProfile.TryCheckAuthority(certificate, plan.TrustDomain, out var problem)
            ? new X509AuthorityRecord(certificate.SerialHex, tier, SlotState.Prepared, certificate, keyName)
            : throw new InvalidOperationException($"the {tier} certificate just made breaks the profile: {problem}");

    private CertificateTemplate Template(AsymmetricAlgorithm key, Validity validity, string role, int? pathLength)
    {
        var commonName = $"{(plan.Subject.CommonName.Length > 0 ? plan.Subject.CommonName : plan.TrustDomain.Name)} {role}";
        var template = CertificateTemplate.Authority(plan.TrustDomain, KeyPair.ExportPublicKey(key), validity.NotBefore, validity.NotAfter, commonName, pathLength);
        return template with { Subject = plan.Subject.ToName(commonName, Convert.ToHexStringLower(template.Serial.Span)) };
    }

    private static string NewKeyName(string tier, DateTimeOffset now) =>
        $"{tier}-{now.UtcDateTime.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture)}-{Guid.NewGuid():N}";
}
