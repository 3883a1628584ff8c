using Signet.Authority.Issuance;
using Signet.Authority.Rotation;
using Signet.Client.Tls;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Upkeep;

/// <summary>The server's own SVID, which it signs itself and renews at half of its life, or at once when its issuer is superseded or it is revoked. One owner renews; any number read.</summary>
public sealed class ServerIdentity(TrustDomain trustDomain, AuthorityRotation authorities, SvidIssuer issuer, TimeSpan ttl, TimeProvider time, Func<double> chance)
{
    private TlsCredential? _current;
    private DateTimeOffset _dueAt = DateTimeOffset.MinValue;

    /// <summary>What the server presents to those who connect.</summary>
    /// <exception cref="InvalidOperationException">Nothing has been issued yet.</exception>
    public TlsCredential Current => Volatile.Read(ref _current) ?? throw new InvalidOperationException("the server has no identity yet");

    /// <summary>Whether the server can be recognised by its agents at this time.</summary>
    public bool IsValid(DateTimeOffset now) => Volatile.Read(ref _current)?.Svid.Validity.Covers(now) == true;

    /// <summary>Renews when it is due.</summary>
    /// <returns>Whether it was renewed.</returns>
    public async Task<bool> RenewIfDueAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (now < _dueAt && IsValid(now) && !IsSuperseded(Current.Svid))
        {
            return false;
        }

        var key = KeyPair.Generate(KeyType.EcP256);
        var id = ReservedIds.Server(trustDomain);
        var issued = await issuer.IssueAsync([new SvidRequest(id, KeyPair.ExportPublicKey(key), ttl, [], id.Uri)], cancellationToken).ConfigureAwait(false);
        if (!X509Svid.TryCreate(issued[0].Chain, key, hint: null, out var svid, out var problem))
        {
            throw new IssuanceException($"the server's own SVID does not hold: {problem}");
        }

        Volatile.Write(ref _current, new TlsCredential(svid));
        _dueAt = SvidRenewal.DueAt(svid.Validity, now, chance());
        return true;
    }

    private bool IsSuperseded(X509Svid svid) =>
        svid.Issuer is { } own && (authorities.Current.Superseded.Contains(own.SerialHex) || authorities.Current.Ledger.RevokedCertificates.ContainsKey(svid.Leaf.SerialHex));
}
