using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.X509.Revocation;

namespace Signet.Authority.Revocation;

/// <summary>
/// Says of certificates whether they are revoked (RFC 6960), signed with the key of the authority that signed them. What is not revoked is good: no list of
/// what was signed is looked through, so that answers cost no visit to the store. Of authorities whose key is not here, and of those that are revoked
/// themselves, nothing is said. Thread-safe.
/// </summary>
public sealed class OcspResponder(AuthorityRotation authorities, IKeyManager keys, TimeProvider time)
{
    /// <summary>So long an answer holds.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromHours(1);

    /// <summary>Answers an encoded request. Never throws for what stands in it.</summary>
    public async Task<byte[]> AnswerAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        OcspRequest.TryParse(request, out var read, out _) ? await AnswerAsync(read.Certificates, cancellationToken).ConfigureAwait(false) : OcspResponse.Refuse(OcspRefusal.MalformedRequest);

    /// <summary>Answers for certificates of one issuer; for those of several, or of a stranger, it has no authority.</summary>
    public async Task<byte[]> AnswerAsync(IReadOnlyList<OcspCertificateId> certificates, CancellationToken cancellationToken)
    {
        var (now, ledger) = (time.GetUtcNow(), authorities.Current.Ledger);
        var issuer = ledger.Issuing.Concat(ledger.Anchors).FirstOrDefault(authority => authority.State != SlotState.Revoked && certificates[0].IsOf(authority.Certificate));
        if (issuer is null || !certificates.All(certificate => certificate.IsOf(issuer.Certificate)) || await keys.FindAsync(issuer.KeyName, cancellationToken).ConfigureAwait(false) is not { } key)
        {
            return OcspResponse.Refuse(OcspRefusal.Unauthorized);
        }

        return OcspResponse.Sign(issuer.Certificate, key, now, [.. certificates.Select(certificate => new OcspAnswer(certificate, StatusOf(ledger, issuer, certificate.SerialHex), now - AuthorityPlan.Backdate, now + Window))]);
    }

    private static OcspStatus StatusOf(AuthorityLedger ledger, X509AuthorityRecord issuer, string serial) =>
        ledger.RevokedCertificates.TryGetValue(serial, out var revoked) && revoked.AuthorityId == issuer.Id ? new OcspStatus.Revoked(revoked.At, revoked.Reason)
        : ledger.Revoked.FirstOrDefault(below => below.Certificate.SerialHex == serial && below.IsBelow(issuer)) is { } gone
            // Nothing that it ever signed counts.
            ? new OcspStatus.Revoked(gone.Validity.NotBefore, RevocationReason.Unspecified)
        : new OcspStatus.Good();
}
