using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>What authorities of a trust domain look like and how long they live.</summary>
public sealed record AuthorityPlan
{
    /// <summary>A clock of a relying party may be this far behind.</summary>
    public static readonly TimeSpan Backdate = TimeSpan.FromSeconds(10);

    /// <summary>A revocation list holds so much longer than what it revokes: who can't get a newer one in that time has no valid SVID of its own any more.</summary>
    internal static readonly TimeSpan ListMargin = TimeSpan.FromDays(1);

    private readonly KeyType? _jwtKeyType;

    public required TrustDomain TrustDomain { get; init; }

    public KeyType KeyType { get; init; } = KeyType.EcP256;

    /// <summary>What JWT-SVIDs are signed with; null for what goes with <see cref="KeyType"/>. A key that is there already signs as it can until it is replaced.</summary>
    public JwsAlgorithm? JwtAlgorithm { get; init; }

    /// <summary>The type of the keys that sign JWT-SVIDs: unless said otherwise what <see cref="JwtAlgorithm"/> needs, and without that <see cref="KeyType"/>.</summary>
    public KeyType JwtKeyType
    {
        get => _jwtKeyType ?? JwtAlgorithm?.KeyType(KeyType) ?? KeyType;
        init => _jwtKeyType = value;
    }

    /// <summary>Whether there are keys for WIT-SVIDs.</summary>
    public bool SignsWit { get; init; }

    public TimeSpan AnchorTtl { get; init; } = TimeSpan.FromDays(3650);

    public TimeSpan IssuingTtl { get; init; } = TimeSpan.FromHours(24);

    public CertificateSubject Subject { get; init; } = new();

    public RotationRule Rule { get; init; } = RotationRule.Authority;

    /// <summary>So long each stage of the anchor's rotation lasts at least: what was under way when it began has arrived or failed by then.</summary>
    public TimeSpan AnchorSettling { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether issuing authorities and anchors are made elsewhere and only installed here.</summary>
    public bool IsExternal { get; init; }

    /// <summary>Whether keys are gone once the process ends; then what signed before is forgotten at the next start.</summary>
    public bool HasVolatileKeys { get; init; }

    /// <summary>The lifetime that an SVID can always be given in full; a longer one is cut to its issuer's.</summary>
    public TimeSpan GuaranteedSvidTtl => Rule.GuaranteedLifetime(IssuingTtl);
}

/// <summary>The distinguished name of authorities; empty parts are left out (RFC 5280 §4.1.2.6).</summary>
public sealed record CertificateSubject(string Country = "", string Organization = "Signet", string CommonName = "")
{
    /// <param name="commonName">What the authority is.</param>
    /// <param name="serial">Its serial number in hex: no two authorities share a name, so that a name leads path builders and revocation lists to the right one.</param>
    internal DistinguishedName ToName(string commonName, string serial) =>
        DistinguishedName.Of([.. new[] { ("C", Country), ("O", Organization), ("CN", commonName), ("SERIALNUMBER", serial) }.Where(part => part.Item2.Length > 0)]);
}
