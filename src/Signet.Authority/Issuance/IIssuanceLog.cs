using Signet.Identity.X509;

namespace Signet.Authority.Issuance;

/// <summary>Remembers every certificate before anybody gets it. Durable before the task completes; thread-safe.</summary>
public interface IIssuanceLog
{
    Task AppendAsync(IReadOnlyList<IssuedCertificate> issued, CancellationToken cancellationToken);
}

/// <summary>A certificate that was signed: for whom, at whose request, by which authority.</summary>
public sealed record IssuedCertificate(Certificate Certificate, string SpiffeId, string RequestedBy, string AuthorityId, DateTimeOffset IssuedAt);
