using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Agent.Sds;

/// <summary>
/// Which revocation lists a proxy can be given. Envoy, once it has a list, demands a current one of every issuer in a peer's chain and refuses whom it
/// has none for. So it gets lists only when there is one of each issuer known below a bundle; some of them alone would refuse everybody. Pure.
/// </summary>
internal static class RevocationCoverage
{
    /// <param name="bundle">The authorities that the lists would go with.</param>
    /// <param name="lists">All that are known.</param>
    /// <param name="known">SVIDs whose chains tell which issuers are in use.</param>
    /// <param name="now">A list that has lapsed does not count.</param>
    /// <returns>The lists, or none when an issuer is without.</returns>
    public static IReadOnlyList<CertificateRevocationList> Of(
        X509Bundle bundle, IReadOnlyCollection<CertificateRevocationList> lists, IEnumerable<X509Svid> known, DateTimeOffset now)
    {
        if (lists.Count == 0)
        {
            return [];
        }

        var below = known.Where(svid => svid.Id.TrustDomain == bundle.TrustDomain).SelectMany(svid => svid.Chain.Skip(1)).Select(authority => authority.SubjectName).ToHashSet();
        var issuers = bundle.Authorities.Select(authority => authority.SubjectName).Concat(below).ToHashSet();
        var current = lists.Where(list => list.NextUpdate >= now && issuers.Contains(list.IssuerName)).ToList();
        return below.Count > 0 && issuers.All(issuer => current.Exists(list => list.IssuerName.Equals(issuer))) ? current : [];
    }
}
