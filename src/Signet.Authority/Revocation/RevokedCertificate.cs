using Signet.Identity.X509.Revocation;

namespace Signet.Authority.Revocation;

/// <summary>A certificate that was signed here and that nobody is to accept any more.</summary>
/// <param name="Serial">Its serial number, in lower-case hex.</param>
/// <param name="SpiffeId">Whose it is.</param>
/// <param name="AuthorityId">The authority that signed it.</param>
/// <param name="NotAfter">When it would have ended.</param>
/// <param name="At">When it was revoked.</param>
/// <param name="Reason">Why.</param>
/// <param name="By">Who said so.</param>
public sealed record RevokedCertificate(string Serial, string SpiffeId, string AuthorityId, DateTimeOffset NotAfter, DateTimeOffset At, RevocationReason Reason, string By);

/// <summary>A certificate that was signed here and has not expired.</summary>
public sealed record LiveCertificate(string Serial, string SpiffeId, string AuthorityId, DateTimeOffset NotAfter);
