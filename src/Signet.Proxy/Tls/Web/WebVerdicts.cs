using System.Net;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Proxy.Tls.Web;

/// <summary>
/// Which server outside the mesh is behind a chain of certificates, under one set of authorities and revocation lists; another set needs
/// another instance. Names are compared each time, so that a verdict holds for every expectation. Thread-safe.
/// </summary>
/// <param name="authorities">Whom this side believes; null believes anybody unseen.</param>
/// <param name="profile">The rules that their certificates keep.</param>
/// <param name="revoked">Revocation lists, for every certificate below the root when there are any.</param>
internal sealed class WebVerdicts(IReadOnlyList<Certificate>? authorities, PathProfile profile, IReadOnlyList<CertificateRevocationList> revoked)
{
    private readonly VerdictCache _cache = new();

    /// <param name="presented">DER, leaf first.</param>
    /// <param name="expected">Names of which the certificate must carry one: DNS names, addresses, or URIs.</param>
    /// <param name="now">The time of the question.</param>
    public Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, IReadOnlyList<string> expected, DateTimeOffset now)
    {
        var judged = _cache.Judge(presented, CertificateUsage.Server, now, certificates => Verify(certificates, now));
        if (authorities is null || judged.Peer is not { } peer)
        {
            return judged;
        }

        return expected.FirstOrDefault(name => Carries(peer.Leaf, name)) is { } host
            ? new(peer with { Host = host }, default, "")
            : new(null, RefusalReason.PeerIdentityUnexpected, $"{peer.Leaf} is for {Names(peer.Leaf)}; expected was {string.Join(" or ", expected.Select(name => Printable.Of(name)))}");
    }

    /// <summary>Asks again about a server that was believed once.</summary>
    public Judgement Judge(Peer peer, IReadOnlyList<string> expected, DateTimeOffset now) => Judge([.. peer.Presented.Select(certificate => certificate.Der)], expected, now);

    private VerdictCache.Finding Verify(IReadOnlyList<Certificate> presented, DateTimeOffset now)
    {
        if (presented.Count == 0)
        {
            return VerdictCache.Finding.Refused(RefusalReason.PeerCertificateMissing, "the server presented no certificate");
        }

        if (authorities is null)
        {
            return VerdictCache.Finding.Believed(new Peer(null, presented, DateTimeOffset.MaxValue), DateTimeOffset.MinValue, DateTimeOffset.MaxValue);
        }

        if (presented.Count > SvidVerifier.MaxPresented)
        {
            return VerdictCache.Finding.Refused(RefusalReason.PeerCertificateInvalid, $"the server presented {presented.Count} certificates; the limit is {SvidVerifier.MaxPresented}");
        }

        var verdict = PathValidator.Validate(new PathRequest
        {
            Leaf = presented[0],
            Intermediates = [.. presented.Skip(1)],
            Roots = authorities,
            At = now,
            Profile = profile,
            Usage = CertificateUsage.Server,
            Crls = revoked,
        });
        return verdict.IsValid
            ? VerdictCache.Finding.Believed(
                new Peer(null, presented, verdict.Path.Min(certificate => certificate.NotAfter)), verdict.Path.Max(certificate => certificate.NotBefore), verdict.ExpiresAt)
            : VerdictCache.Finding.Refused(ReasonOf(verdict.Problem), $"{verdict.Problem.Word()}: {verdict.Reason}");
    }

    private static bool Carries(Certificate leaf, string name) =>
        name.Contains("://", StringComparison.Ordinal) ? leaf.UriNames.Contains(name)
        : name.StartsWith("*.", StringComparison.Ordinal) ? leaf.DnsNames.Contains(name, StringComparer.OrdinalIgnoreCase)
        : leaf.IsFor(name);

    private static string Names(Certificate leaf)
    {
        const int MaxShown = 5;
        string[] names = [.. leaf.DnsNames, .. leaf.IpAddresses.Select((IPAddress address) => address.ToString()), .. leaf.UriNames];
        return names.Length == 0 ? "no name at all" : string.Join(", ", names.Take(MaxShown).Select(name => Printable.Of(name))) + (names.Length > MaxShown ? ", …" : "");
    }

    private static RefusalReason ReasonOf(PathProblem problem) => problem switch
    {
        PathProblem.UnknownAuthority => RefusalReason.PeerAuthorityUnknown,
        PathProblem.Expired => RefusalReason.PeerCertificateExpired,
        PathProblem.NotYetValid => RefusalReason.PeerCertificateNotYetValid,
        PathProblem.Revoked => RefusalReason.PeerCertificateRevoked,
        _ => RefusalReason.PeerCertificateInvalid,
    };
}
