using System.Collections.Immutable;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>
/// The bundles that a workload believes, one per trust domain and never mixed (Federation §4.2, §7.3). Immutable, thread-safe;
/// equal when every bundle is.
/// </summary>
public sealed class TrustBundles : IEquatable<TrustBundles>
{
    private readonly ImmutableDictionary<TrustDomain, X509Bundle> _bundles;

    private TrustBundles(ImmutableDictionary<TrustDomain, X509Bundle> bundles) => _bundles = bundles;

    /// <summary>Believes nobody.</summary>
    public static TrustBundles Empty { get; } = new(ImmutableDictionary<TrustDomain, X509Bundle>.Empty);

    /// <summary>These bundles; of two for one trust domain the later counts.</summary>
    public static TrustBundles Of(params IEnumerable<X509Bundle> bundles) => bundles.Aggregate(Empty, (all, bundle) => all.With(bundle));

    public IReadOnlyCollection<X509Bundle> All => _bundles.Values.ToArray();

    /// <summary>The bundle of exactly this trust domain, or null.</summary>
    public X509Bundle? Find(TrustDomain trustDomain) => _bundles.GetValueOrDefault(trustDomain);

    /// <summary>The same with this bundle in place of the trust domain's present one.</summary>
    public TrustBundles With(X509Bundle bundle) => new(_bundles.SetItem(bundle.TrustDomain, bundle));

    public TrustBundles Without(TrustDomain trustDomain) => new(_bundles.Remove(trustDomain));

    public bool Equals(TrustBundles? other) => other is not null
        && _bundles.Count == other._bundles.Count
        && _bundles.All(pair => pair.Value.Equals(other.Find(pair.Key)));

    public override bool Equals(object? obj) => Equals(obj as TrustBundles);

    public override int GetHashCode() => _bundles.Aggregate(0, (hash, pair) => hash ^ pair.Value.GetHashCode());
}
