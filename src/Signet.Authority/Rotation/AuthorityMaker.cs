using System.Globalization;
using System.Security.Cryptography;
using Signet.Authority.Keys;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>Makes authorities: key first, then certificate, then journal, so that a crash leaves at most a key that nobody names.</summary>
internal sealed class AuthorityMaker(AuthorityPlan plan, IKeyManager keys, IAuthorityJournal journal)
{
    private const int IssuingPathLength = 0;

    public async Task<AuthorityRecord> MakeAnchorAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var keyName = NewKeyName("anchor", now);
        var key = await keys.GenerateAsync(keyName, plan.KeyType, cancellationToken).ConfigureAwait(false);
        var certificate = Template(key, new Validity(now - AuthorityPlan.Backdate, now + plan.AnchorTtl), "trust anchor", pathLength: null).SignSelf(key);
        return await RememberAsync(AuthorityTier.Anchor, AuthorityState.Active, certificate, keyName, cancellationToken).ConfigureAwait(false);
    }

    public async Task<AuthorityRecord> MakeIssuingAsync(
        AuthorityRecord anchor, AuthorityState state, DateTimeOffset now, CancellationToken cancellationToken)
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
        var certificate = Template(key, validity, "issuing authority", IssuingPathLength).Sign(anchor.Certificate, anchorKey);
        return await RememberAsync(AuthorityTier.Issuing, state, certificate, keyName, cancellationToken).ConfigureAwait(false);
    }

    private async Task<AuthorityRecord> RememberAsync(
        AuthorityTier tier, AuthorityState state, Certificate certificate, string keyName, CancellationToken cancellationToken)
    {
        if (!X509SvidProfile.TryCheckAuthority(certificate, plan.TrustDomain, out var problem))
        {
            throw new InvalidOperationException($"the {tier} certificate just made breaks the profile: {problem}");
        }

        var record = new AuthorityRecord(certificate.SerialHex, tier, state, certificate, keyName);
        try
        {
            await journal.SaveAsync([record], cancellationToken).ConfigureAwait(false);
            return record;
        }
        catch
        {
            // A journal that keeps failing must not leave a key behind at every attempt.
            await keys.DeleteAsync(keyName, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private CertificateTemplate Template(AsymmetricAlgorithm key, Validity validity, string role, int? pathLength)
    {
        // The two tiers never share a name: a certificate whose issuer and subject are equal counts as self-issued (RFC 5280 §6.1).
        var commonName = $"{(plan.Subject.CommonName.Length > 0 ? plan.Subject.CommonName : plan.TrustDomain.Name)} {role}";
        return CertificateTemplate.Authority(plan.TrustDomain, KeyPair.ExportPublicKey(key), validity.NotBefore, validity.NotAfter, commonName, pathLength) with
        {
            Subject = plan.Subject.ToName(commonName),
        };
    }

    private static string NewKeyName(string tier, DateTimeOffset now) =>
        $"{tier}-{now.UtcDateTime.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture)}-{Guid.NewGuid():N}";
}
