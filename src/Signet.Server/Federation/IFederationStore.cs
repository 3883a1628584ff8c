using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Server.Federation;

/// <summary>Keeps relationships with other trust domains. Durable before a task completes.</summary>
public interface IRelationshipStore
{
    Task<IReadOnlyList<FederationRelationship>> LoadRelationshipsAsync(CancellationToken cancellationToken);

    /// <summary>Adds the relationship or replaces the one with the same trust domain.</summary>
    Task SaveAsync(FederationRelationship relationship, CancellationToken cancellationToken);

    Task DeleteRelationshipAsync(TrustDomain trustDomain, CancellationToken cancellationToken);
}

/// <summary>Keeps the newest bundle of each other trust domain. Durable before a task completes.</summary>
public interface IBundleStore
{
    Task<IReadOnlyList<SpiffeBundle>> LoadBundlesAsync(CancellationToken cancellationToken);

    /// <summary>Adds the bundle or replaces the one of the same trust domain.</summary>
    Task SaveAsync(SpiffeBundle bundle, CancellationToken cancellationToken);

    Task DeleteBundleAsync(TrustDomain trustDomain, CancellationToken cancellationToken);
}
