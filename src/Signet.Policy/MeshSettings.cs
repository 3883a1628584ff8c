namespace Signet.Policy;

/// <summary>What holds for the whole mesh: the fields of Istio's MeshConfig that decide what a policy means. Immutable.</summary>
public sealed record MeshSettings
{
    public static MeshSettings Default { get; } = new();

    /// <summary>Policies in this namespace apply to every namespace.</summary>
    public string RootNamespace { get; init; } = "istio-system";

    /// <summary>The mesh's own trust domain. In principals, <c>cluster.local</c> always stands for it and its aliases.</summary>
    public string TrustDomain { get; init; } = "cluster.local";

    /// <summary>Other names of the same trust domain.</summary>
    public IReadOnlyList<string> TrustDomainAliases { get; init; } = [];

    /// <summary>How a request's path is normalised before it is matched.</summary>
    public PathNormalization PathNormalization { get; init; } = PathNormalization.Base;

    /// <summary>The external authorisers that a CUSTOM policy may name.</summary>
    public IReadOnlyList<ExtensionProvider> ExtensionProviders { get; init; } = [];

    /// <summary>Whether a client without a DestinationRule uses mutual TLS with every endpoint that can.</summary>
    public bool EnableAutoMtls { get; init; } = true;

    /// <summary>The trust domain and its aliases, the trust domain first, none twice.</summary>
    public IReadOnlyList<string> TrustDomains => [.. new[] { TrustDomain }.Concat(TrustDomainAliases).Distinct(StringComparer.Ordinal)];

    internal ExtensionProvider? Provider(string name)
    {
        foreach (var provider in ExtensionProviders)
        {
            if (string.Equals(provider.Name, name, StringComparison.Ordinal))
            {
                return provider;
            }
        }

        return null;
    }
}

/// <summary>An external authoriser, by the name that CUSTOM policies use.</summary>
/// <param name="Name">The name in <c>provider.name</c>.</param>
/// <param name="FailOpen">Whether a request is let through when the authoriser does not answer. Off unless someone asks for it.</param>
public sealed record ExtensionProvider(string Name, bool FailOpen = false)
{
    /// <summary>Where it is; null when nobody said, and then there is no answer.</summary>
    public ExternalAuthoriser? Authoriser { get; init; }
}

/// <summary>How much of a path is normalised before policies see it; each level includes the one before.</summary>
public enum PathNormalization
{
    /// <summary>Only the query is cut off.</summary>
    None,

    /// <summary>Dot segments are resolved, percent-encoded unreserved characters decoded once, <c>\</c> becomes <c>/</c>.</summary>
    Base,

    /// <summary>Also, runs of slashes become one.</summary>
    MergeSlashes,

    /// <summary>Also, <c>%2f</c> and <c>%5c</c> are decoded, before everything else.</summary>
    DecodeAndMergeSlashes,
}
