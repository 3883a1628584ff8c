using System.Collections.Immutable;
using System.Security.Cryptography;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Authority.Rotation;

/// <summary>An authority that can sign: its key, and the chain it hands on below the anchor, its own certificate first.</summary>
public sealed record SigningAuthority(string Id, ImmutableArray<Certificate> Chain, AsymmetricAlgorithm Key)
{
    public Certificate Certificate => Chain[0];
}

/// <summary>A key that can sign JWT-SVIDs or WIT-SVIDs.</summary>
public sealed record JwtSigningAuthority(string KeyId, Validity Validity, AsymmetricAlgorithm Key);

/// <summary>
/// The authorities at one moment: who signs, and what relying parties must trust. Immutable; replaced whole when a rotation advances.
/// </summary>
/// <param name="Issuing">Signs X.509-SVIDs.</param>
/// <param name="Jwt">Signs JWT-SVIDs.</param>
/// <param name="Bundle">The anchors: the one that signs, one that will, and those that have. Its sequence number counts the JWT keys too.</param>
/// <param name="JwtBundle">The JWT keys: those that sign, those that will, and those that have.</param>
/// <param name="Ledger">All of them, and the anchor's rotation.</param>
/// <param name="Crls">What the authorities revoked; empty when nothing is.</param>
/// <param name="Superseded">The IDs of issuing authorities and JWT keys whose signatures are to be replaced at once.</param>
public sealed record AuthoritySnapshot(
    SigningAuthority Issuing, JwtSigningAuthority Jwt, X509Bundle Bundle, JwtBundle JwtBundle, ImmutableArray<CertificateRevocationList> Crls, AuthorityLedger Ledger, ImmutableHashSet<string> Superseded)
{
    /// <summary>Signs WIT-SVIDs; null where there are none.</summary>
    public JwtSigningAuthority? Wit { get; init; }

    /// <summary>The WIT keys: those that sign, those that will, and those that have.</summary>
    public WitBundle WitBundle { get; init; } = WitBundle.Empty(Bundle.TrustDomain);

    /// <summary>Whom relying parties believe: the bundle, less what is revoked.</summary>
    public TrustBundles Trust { get; } = TrustBundles.Of(Bundle).WithCrls(Crls);

    /// <summary>Whether an authority here has this name: a leaf with it would seem to have issued itself.</summary>
    public bool IsAuthorityName(DistinguishedName name) =>
        Issuing.Chain.Concat(Bundle.Authorities).Any(authority => authority.SubjectName.Equals(name));

    public ImmutableArray<AuthorityRecord> Records => Ledger.Records;

    public AnchorRotation? Rotation => Ledger.Rotation;
}
