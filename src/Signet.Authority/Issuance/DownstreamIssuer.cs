using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Authority.Issuance;

/// <summary>Signs authorities for servers below this one. The anchor signs them, beside the own issuing authority, which may sign none. Thread-safe.</summary>
public sealed class DownstreamIssuer(AuthorityPlan plan, AuthorityRotation authorities, IKeyManager keys, IIssuanceLog log, TimeProvider time)
{
    private const int PathLength = 0;

    /// <summary>Signs an authority that may sign leaves and no further authority. Whether the caller may ask is decided before.</summary>
    /// <param name="publicKey">Its encoded <c>SubjectPublicKeyInfo</c>, whose possession was proved.</param>
    /// <param name="ttl">The lifetime wished for; cut to the anchor's.</param>
    /// <param name="requestedBy">The caller, for the log.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IssuanceException">The anchor's key is not here, or the anchor has expired.</exception>
    public async Task<Certificate> IssueAsync(ReadOnlyMemory<byte> publicKey, TimeSpan ttl, string requestedBy, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var anchor = authorities.Current.Ledger.ActiveAnchor;
        var key = await keys.FindAsync(anchor.KeyName, cancellationToken).ConfigureAwait(false)
            ?? throw new IssuanceException($"the key of trust anchor {anchor.Id} is not on this server, so it cannot sign an authority for a server below it");
        var validity = SvidRenewal.Granted(ttl, AuthorityPlan.Backdate, anchor.Validity, now);
        if (!validity.Covers(now))
        {
            throw new IssuanceException($"trust anchor {anchor.Id} is valid until {anchor.Validity.NotAfter:u}, and the server's clock says {now:u}");
        }

        var template = CertificateTemplate.Authority(plan.TrustDomain, publicKey, validity.NotBefore, validity.NotAfter, commonName: "", PathLength);
        var name = plan.Subject.ToName($"{plan.TrustDomain.Name} downstream authority", Convert.ToHexStringLower(template.Serial.Span));
        var certificate = (template with { Subject = name }).Sign(anchor.Certificate, key);
        if (!X509SvidProfile.TryCheckAuthority(certificate, plan.TrustDomain, out var problem))
        {
            throw new IssuanceException($"the authority just signed breaks the profile: {problem}");
        }

        await log.AppendAsync([new IssuedCertificate(certificate, SpiffeId.Of(plan.TrustDomain).Uri, requestedBy, anchor.Id, now)], cancellationToken).ConfigureAwait(false);
        return certificate;
    }
}
