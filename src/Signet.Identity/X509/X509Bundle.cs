using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>
/// The authorities of one trust domain, and nothing of any other (SPIFFE Trust Domain and Bundle §4; Federation §7.3). No authorities
/// means that nobody of that trust domain is believed. Immutable, thread-safe; equal when the content is.
/// </summary>
public sealed class X509Bundle : IEquatable<X509Bundle>
{
    /// <summary>How many authorities a bundle may have.</summary>
    public const int MaxAuthorities = 1000;

    private string? _digest;

    private X509Bundle(TrustDomain trustDomain, IReadOnlyList<Certificate> authorities, ulong? sequence, TimeSpan? refreshHint)
    {
        TrustDomain = trustDomain;
        Authorities = authorities;
        Sequence = sequence;
        RefreshHint = refreshHint;
    }

    public TrustDomain TrustDomain { get; }

    /// <summary>Each authority once, in the order given.</summary>
    public IReadOnlyList<Certificate> Authorities { get; }

    /// <summary>Grows with every change of content, or null when the publisher gives none.</summary>
    public ulong? Sequence { get; }

    /// <summary>How often to look for a newer bundle, or null when the publisher does not say.</summary>
    public TimeSpan? RefreshHint { get; }

    /// <summary>A bundle of these authorities; one that is given twice is kept once.</summary>
    /// <exception cref="ArgumentException">More than <see cref="MaxAuthorities"/>.</exception>
    public static X509Bundle Create(TrustDomain trustDomain, IEnumerable<Certificate> authorities, ulong? sequence = null, TimeSpan? refreshHint = null)
    {
        var distinct = authorities.Distinct().ToArray();
        return distinct.Length <= MaxAuthorities
            ? new X509Bundle(trustDomain, distinct, sequence, refreshHint)
            : throw new ArgumentException($"the bundle of {trustDomain} has {distinct.Length} authorities; the limit is {MaxAuthorities}", nameof(authorities));
    }

    /// <summary>Reads PEM text in which every certificate is an authority. Never throws.</summary>
    public static bool TryReadPem(TrustDomain trustDomain, string text, [NotNullWhen(true)] out X509Bundle? bundle, out string problem)
    {
        bundle = null;
        if (!Pem.TryReadCertificates(text, out var certificates, out problem))
        {
            return false;
        }

        return TryCreate(trustDomain, certificates, null, null, out bundle, out problem);
    }

    public string ToPem() => Pem.Encode(Authorities);

    /// <summary>Reads the SPIFFE bundle format, taking what is for X509-SVIDs and ignoring the rest (§4; X509-SVID §6.2). Never throws.</summary>
    public static bool TryReadSpiffeJson(TrustDomain trustDomain, string json, [NotNullWhen(true)] out X509Bundle? bundle, out string problem)
    {
        bundle = null;
        return JsonWebKeySet.TryParse(json, out var set, out problem)
            && TryCreate(trustDomain, set.X509Authorities, set.Sequence, set.RefreshHint, out bundle, out problem);
    }

    /// <summary>The SPIFFE bundle format with one key per authority, <c>use</c> x509-svid (X509-SVID §6.1).</summary>
    public string ToSpiffeJson() => JsonWebKeySet.Of(Authorities, Sequence, RefreshHint).ToJson();

    /// <summary>Whether trust domain and authorities, in whatever order, sequence and refresh hint are the same.</summary>
    public bool Equals(X509Bundle? other) => other is not null
        && TrustDomain == other.TrustDomain
        && Sequence == other.Sequence
        && RefreshHint == other.RefreshHint
        && Authorities.Count == other.Authorities.Count
        && Authorities.All(other.Authorities.Contains);

    public override bool Equals(object? obj) => Equals(obj as X509Bundle);

    public override int GetHashCode() => HashCode.Combine(TrustDomain, Authorities.Count, Sequence);

    /// <summary>
    /// The same for every bundle with these authorities, in whatever order, and for no other: SHA-256 in lower-case hex over the sorted fingerprints,
    /// each followed by a newline.
    /// </summary>
    public string Digest => _digest ??= Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(
        string.Concat(Authorities.Select(authority => authority.Fingerprint + "\n").Order(StringComparer.Ordinal)))));

    public override string ToString() => $"{TrustDomain} ({Authorities.Count} authorities)";

    private static bool TryCreate(
        TrustDomain trustDomain, IReadOnlyList<Certificate> authorities, ulong? sequence, TimeSpan? refreshHint, [NotNullWhen(true)] out X509Bundle? bundle, out string problem)
    {
        bundle = null;
        problem = "";
        if (authorities.Count > MaxAuthorities)
        {
            problem = $"the bundle of {trustDomain} has {authorities.Count} authorities; the limit is {MaxAuthorities}";
            return false;
        }

        if (authorities.FirstOrDefault(a => !a.IsAuthority) is { } other)
        {
            problem = $"the bundle of {trustDomain} holds {other}, which is not an authority (cA=true is missing)";
            return false;
        }

        bundle = Create(trustDomain, authorities, sequence, refreshHint);
        return true;
    }
}
