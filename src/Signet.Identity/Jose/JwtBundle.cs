using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>
/// The keys that sign JWT-SVIDs of one trust domain, and nothing else (Workload API §6.2.2; JWT-SVID §6). No keys means that no token of that trust
/// domain is believed. Immutable, thread-safe; equal when the content is.
/// </summary>
public sealed class JwtBundle : IEquatable<JwtBundle>
{
    /// <summary>How many keys a bundle may have.</summary>
    public const int MaxAuthorities = TokenKeys.MaxAuthorities;

    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = TokenKeys.MaxLength;

    internal const string Use = "jwt-svid";

    private JwtBundle(TrustDomain trustDomain, IReadOnlyList<JwtAuthority> authorities) => (TrustDomain, Authorities) = (trustDomain, authorities);

    public TrustDomain TrustDomain { get; }

    /// <summary>No two with the same key ID.</summary>
    public IReadOnlyList<JwtAuthority> Authorities { get; }

    /// <summary>No keys: no token of the trust domain is believed.</summary>
    public static JwtBundle Empty(TrustDomain trustDomain) => new(trustDomain, []);

    /// <summary>A bundle of these keys. Never throws.</summary>
    public static bool TryCreate(TrustDomain trustDomain, IReadOnlyList<JwtAuthority> authorities, [NotNullWhen(true)] out JwtBundle? bundle, out string problem)
    {
        bundle = TokenKeys.TryCheck(Name(trustDomain), authorities, out problem) ? new JwtBundle(trustDomain, authorities) : null;
        return bundle is not null;
    }

    /// <summary>Reads a JWK Set, taking what is for JWT-SVIDs and ignoring the rest (JWT-SVID §6.2). Never throws.</summary>
    public static bool TryParse(TrustDomain trustDomain, string json, [NotNullWhen(true)] out JwtBundle? bundle, out string problem)
    {
        bundle = TokenKeys.TryParse(Name(trustDomain), json, Use, out var authorities, out problem) ? new JwtBundle(trustDomain, authorities) : null;
        return bundle is not null;
    }

    /// <summary>A JWK Set with the public keys, each with <c>kid</c> and <c>use</c> jwt-svid (JWT-SVID §6.1).</summary>
    public string ToJson() => TokenKeys.ToJson(Authorities, (writer, authority) => JsonWebKey.WriteToken(writer, authority, Use));

    /// <summary>A JWK Set for readers outside SPIFFE, such as clouds that take JWT-SVIDs as OpenID Connect tokens: <c>use</c> is sig, and <c>alg</c> is set.</summary>
    /// <param name="wished">The algorithm that the keys sign with, where it goes with them.</param>
    public string ToWebJson(JwsAlgorithm? wished = null) => TokenKeys.ToJson(Authorities, (writer, authority) => JsonWebKey.WriteWeb(writer, authority, wished));

    public bool Equals(JwtBundle? other) => other is not null && TrustDomain == other.TrustDomain && Authorities.SequenceEqual(other.Authorities);

    public override bool Equals(object? obj) => Equals(obj as JwtBundle);

    public override int GetHashCode() => HashCode.Combine(TrustDomain, Authorities.Count);

    public override string ToString() => $"{TrustDomain} ({Authorities.Count} JWT keys)";

    private static string Name(TrustDomain trustDomain) => $"the JWT bundle of {trustDomain}";
}
