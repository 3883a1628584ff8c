using System.Collections.Immutable;
using Signet.Identity.Spiffe;
using Signet.Identity.X509.Revocation;

namespace Signet.Identity.X509;

/// <summary>
/// The bundles that a workload believes, one per trust domain and never mixed (Federation §4.2, §7.3), and what their authorities have revoked.
/// Immutable, thread-safe; equal when every bundle and every list is.
/// </summary>
public sealed class TrustBundles : IEquatable<TrustBundles>
{
    private readonly ImmutableDictionary<TrustDomain, X509Bundle> _bundles;

    private TrustBundles(ImmutableDictionary<TrustDomain, X509Bundle> bundles, ImmutableArray<CertificateRevocationList> crls) => (_bundles, Crls) = (bundles, crls);

    /// <summary>Believes nobody.</summary>
    public static TrustBundles Empty { get; } = new(ImmutableDictionary<TrustDomain, X509Bundle>.Empty, []);

    /// <summary>These bundles; of two for one trust domain the later counts.</summary>
    public static TrustBundles Of(params IEnumerable<X509Bundle> bundles) => bundles.Aggregate(Empty, (all, bundle) => all.With(bundle));

    /// <summary>Revocation lists; an authority that has one here must have a current one.</summary>
    public ImmutableArray<CertificateRevocationList> Crls { get; }

    public IReadOnlyCollection<X509Bundle> All => _bundles.Values.ToArray();

    /// <summary>The bundle of exactly this trust domain, or null.</summary>
    public X509Bundle? Find(TrustDomain trustDomain) => _bundles.GetValueOrDefault(trustDomain);

    /// <summary>The same with this bundle in place of the trust domain's present one.</summary>
    public TrustBundles With(X509Bundle bundle) => new(_bundles.SetItem(bundle.TrustDomain, bundle), Crls);

    public TrustBundles Without(TrustDomain trustDomain) => new(_bundles.Remove(trustDomain), Crls);

    /// <summary>The same bundles with these revocation lists in place of the present ones.</summary>
    public TrustBundles WithCrls(IEnumerable<CertificateRevocationList> crls) => new(_bundles, [.. crls]);

    public bool Equals(TrustBundles? other) => other is not null
        && _bundles.Count == other._bundles.Count
        && Crls.Length == other.Crls.Length
        && Crls.Zip(other.Crls).All(pair => pair.First.Der.Span.SequenceEqual(pair.Second.Der.Span))
        && _bundles.All(pair => pair.Value.Equals(other.Find(pair.Key)));

    public override bool Equals(object? obj) => Equals(obj as TrustBundles);

    public override int GetHashCode() => _bundles.Aggregate(0, (hash, pair) => hash ^ pair.Value.GetHashCode());
}
