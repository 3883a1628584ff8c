using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>
/// The keys that sign WIT-SVIDs of one trust domain, and nothing else (Workload API §7.2; WIT-SVID §6). No keys means that the trust domain has no
/// WIT-SVIDs. Immutable, thread-safe; equal when the content is.
/// </summary>
public sealed class WitBundle : IEquatable<WitBundle>
{
    internal const string Use = "wit-svid";

    private WitBundle(TrustDomain trustDomain, IReadOnlyList<JwtAuthority> authorities) => (TrustDomain, Authorities) = (trustDomain, authorities);

    public TrustDomain TrustDomain { get; }

    /// <summary>No two with the same key ID.</summary>
    public IReadOnlyList<JwtAuthority> Authorities { get; }

    /// <summary>No keys: no token of the trust domain is believed.</summary>
    public static WitBundle Empty(TrustDomain trustDomain) => new(trustDomain, []);

    /// <summary>A bundle of these keys. Never throws.</summary>
    public static bool TryCreate(TrustDomain trustDomain, IReadOnlyList<JwtAuthority> authorities, [NotNullWhen(true)] out WitBundle? bundle, out string problem)
    {
        bundle = TokenKeys.TryCheck(Name(trustDomain), authorities, out problem) ? new WitBundle(trustDomain, authorities) : null;
        return bundle is not null;
    }

    /// <summary>Reads a JWK Set, taking what is for WIT-SVIDs and ignoring the rest (WIT-SVID §6.2). Never throws.</summary>
    public static bool TryParse(TrustDomain trustDomain, string json, [NotNullWhen(true)] out WitBundle? bundle, out string problem)
    {
        bundle = TokenKeys.TryParse(Name(trustDomain), json, Use, out var authorities, out problem) ? new WitBundle(trustDomain, authorities) : null;
        return bundle is not null;
    }

    /// <summary>A JWK Set with the public keys, each with <c>kid</c> and <c>use</c> wit-svid (WIT-SVID §6.1).</summary>
    public string ToJson() => TokenKeys.ToJson(Authorities, (writer, authority) => JsonWebKey.WriteToken(writer, authority, Use));

    public bool Equals(WitBundle? other) => other is not null && TrustDomain == other.TrustDomain && Authorities.SequenceEqual(other.Authorities);

    public override bool Equals(object? obj) => Equals(obj as WitBundle);

    public override int GetHashCode() => HashCode.Combine(TrustDomain, Authorities.Count);

    public override string ToString() => $"{TrustDomain} ({Authorities.Count} WIT keys)";

    private static string Name(TrustDomain trustDomain) => $"the WIT bundle of {trustDomain}";
}
