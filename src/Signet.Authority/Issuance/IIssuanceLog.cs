using Signet.Identity.X509;

namespace Signet.Authority.Issuance;

/// <summary>Remembers every certificate before anybody gets it. Durable before the task completes; thread-safe.</summary>
public interface IIssuanceLog
{
    Task AppendAsync(IReadOnlyList<IssuedCertificate> issued, CancellationToken cancellationToken);
}

/// <summary>A certificate that was signed: for whom, at whose request, by which authority.</summary>
public sealed record IssuedCertificate(Certificate Certificate, string SpiffeId, string RequestedBy, string AuthorityId, DateTimeOffset IssuedAt);

/// <summary>What the log of issued certificates knows of those that can still be shown to somebody. Thread-safe.</summary>
public interface ILiveCertificates
{
    /// <summary>Certificates that these authorities signed and that have not expired, by who asked for them.</summary>
    Task<IReadOnlyList<LiveCertificates>> LiveAsync(IReadOnlyCollection<string> authorityIds, DateTimeOffset now, CancellationToken cancellationToken);
}

/// <summary>Certificates that are valid still.</summary>
/// <param name="RequestedBy">Who asked for them.</param>
/// <param name="Count">How many.</param>
/// <param name="LastNotAfter">When the last of them expires.</param>
public sealed record LiveCertificates(string RequestedBy, int Count, DateTimeOffset LastNotAfter)
{
    /// <summary>When the last one was signed that follows them: another authority signed it for the same caller and the same ID. Null when one of them was never followed.</summary>
    public DateTimeOffset? ReplacedAt { get; init; }
}
