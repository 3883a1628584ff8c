using System.Net;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Authority.Issuance;

/// <summary>What is asked for: an identity for a public key. Whether the caller may ask is decided before.</summary>
/// <param name="SpiffeId">The identity; names in the CSR are never taken over.</param>
/// <param name="PublicKey">The subject's key, whose possession the CSR proved (RFC 2986 §4.2).</param>
/// <param name="Ttl">The lifetime wished for; cut to the issuing authority's.</param>
/// <param name="DnsNames">Further names, from the registration entry.</param>
/// <param name="RequestedBy">The caller, for the log.</param>
public sealed record SvidRequest(SpiffeId SpiffeId, ReadOnlyMemory<byte> PublicKey, TimeSpan Ttl, IReadOnlyList<string> DnsNames, string RequestedBy)
{
    /// <summary>The subject, from the registration entry; null for the default. No authority's name: whoever asks for that is refused before.</summary>
    public DistinguishedName? Subject { get; init; }

    /// <summary>Addresses, from the registration entry.</summary>
    public IReadOnlyList<IPAddress> IpAddresses { get; init; } = [];

    /// <summary>Mailboxes, from the registration entry.</summary>
    public IReadOnlyList<string> EmailAddresses { get; init; } = [];
}

/// <summary>A signed leaf and the chain that a relying party needs below the anchor.</summary>
public sealed record IssuedSvid(SpiffeId SpiffeId, IReadOnlyList<Certificate> Chain)
{
    public Certificate Leaf => Chain[0];
}

/// <summary>An SVID could not be issued; the message says what stands in the way and what to do.</summary>
public sealed class IssuanceException(string message) : Exception(message);

/// <summary>
/// Template → sign → read the finished bytes again and check them → remember → hand out. Nothing leaves that does not hold the profile
/// or that the log does not know. Thread-safe.
/// </summary>
/// <param name="authorities">Who signs.</param>
/// <param name="log">What remembers.</param>
/// <param name="time">The clock.</param>
/// <param name="failed">Called each time that nothing could be signed.</param>
public sealed class SvidIssuer(AuthorityRotation authorities, IIssuanceLog log, TimeProvider time, Action? failed = null)
{
    /// <summary>Signs all of the requests or none of them.</summary>
    /// <exception cref="IssuanceException">The issuing authority has expired, or a finished certificate breaks the profile.</exception>
    public async Task<IReadOnlyList<IssuedSvid>> IssueAsync(IReadOnlyList<SvidRequest> requests, CancellationToken cancellationToken)
    {
        try
        {
            return await SignAsync(requests, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            failed?.Invoke();
            throw;
        }
    }

    private async Task<IReadOnlyList<IssuedSvid>> SignAsync(IReadOnlyList<SvidRequest> requests, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var snapshot = authorities.Current;
        var issued = requests.Select(request => (Request: request, Svid: Sign(request, snapshot, now))).ToArray();
        await log.AppendAsync(
            [.. issued.Select(one => new IssuedCertificate(one.Svid.Leaf, one.Request.SpiffeId.Uri, one.Request.RequestedBy, snapshot.Issuing.Id, now))],
            cancellationToken).ConfigureAwait(false);
        return [.. issued.Select(one => one.Svid)];
    }

    private static IssuedSvid Sign(SvidRequest request, AuthoritySnapshot snapshot, DateTimeOffset now)
    {
        var issuer = snapshot.Issuing.Certificate;
        var validity = snapshot.Issuing.Chain.Aggregate(
            SvidRenewal.Granted(request.Ttl, AuthorityPlan.Backdate, new Validity(issuer.NotBefore, issuer.NotAfter), now),
            (granted, above) => granted.NotAfter <= above.NotAfter ? granted : granted with { NotAfter = above.NotAfter });
        if (!validity.Covers(now))
        {
            throw new IssuanceException(
                $"issuing authority {snapshot.Issuing.Id} is valid from {issuer.NotBefore:u} to {issuer.NotAfter:u}, and the server's clock says {now:u}");
        }

        var template = CertificateTemplate.Leaf(request.SpiffeId, request.PublicKey, validity.NotBefore, validity.NotAfter, request.DnsNames, request.Subject) with
        {
            IpAddresses = request.IpAddresses,
            EmailAddresses = request.EmailAddresses,
        };
        var leaf = template.Sign(issuer, snapshot.Issuing.Key);
        Check(leaf, request, snapshot, now);
        return new IssuedSvid(request.SpiffeId, [leaf, .. snapshot.Issuing.Chain]);
    }

    private static void Check(Certificate leaf, SvidRequest request, AuthoritySnapshot snapshot, DateTimeOffset now)
    {
        var verdict = SvidVerifier.Verify([leaf, .. snapshot.Issuing.Chain], snapshot.Trust, CertificateUsage.Any, now);
        if (!verdict.IsTrusted || verdict.Id != request.SpiffeId)
        {
            throw new IssuanceException($"the certificate just signed for {request.SpiffeId} does not hold: {verdict.Reason}");
        }
    }
}
