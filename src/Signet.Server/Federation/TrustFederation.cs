using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Daemons;
using Signet.Identity.Spiffe;
using Signet.Server.Registration;
using Signet.Server.Storage.Sqlite;
using Signet.Server.Telemetry;

namespace Signet.Server.Federation;

/// <summary>What becomes of entries that federate with a trust domain whose bundle is deleted.</summary>
public enum DeletionMode
{
    /// <summary>They are in the way.</summary>
    Restrict,

    /// <summary>They go too.</summary>
    Delete,

    /// <summary>They stay and no longer federate with it.</summary>
    Dissociate,
}

/// <summary>Everything of a server that has to do with other trust domains, put together.</summary>
internal sealed class TrustFederation : IDisposable
{
    private readonly FederationMetrics _metrics = new();

    private TrustFederation(FederationRelationships relationships, FederatedBundles bundles, PublishedBundle published, BundleFetcher fetcher, TimeProvider time, ILoggerFactory logs)
    {
        (Relationships, Bundles, Published) = (relationships, bundles, published);
        Refresher = new BundleRefresher(relationships, bundles, fetcher.FetchAsync, _metrics, time, logs.CreateLogger<BundleRefresher>());
        Refreshing = new BackgroundPart("federation", Refresher.RunAsync);
        _metrics.Observe(relationships, bundles, time);
    }

    public FederationRelationships Relationships { get; }

    public FederatedBundles Bundles { get; }

    /// <summary>The own bundle as others get it.</summary>
    public PublishedBundle Published { get; }

    public BundleRefresher Refresher { get; }

    public BackgroundPart Refreshing { get; }

    /// <param name="config">The server's configuration.</param>
    /// <param name="database">Where all is kept.</param>
    /// <param name="authorities">Of the own trust domain.</param>
    /// <param name="bundleChanges">Raised after a bundle has changed.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logs">Where it logs.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<TrustFederation> LoadAsync(
        ServerConfig config, SqliteDatabase database, AuthorityRotation authorities, ChangeSignal bundleChanges, TimeProvider time, ILoggerFactory logs, CancellationToken cancellationToken)
    {
        var store = new SqliteFederationStore(database);
        var federation = config.Federation;
        var relationships = await FederationRelationships.LoadAsync(
            config.TrustDomain, federation.Relationships.Select(one => one.Relationship), store, cancellationToken).ConfigureAwait(false);
        var bundles = await FederatedBundles.LoadAsync(config.TrustDomain, store, bundleChanges, cancellationToken).ConfigureAwait(false);
        foreach (var bootstrap in federation.Relationships.Select(one => one.Bootstrap).OfType<Identity.Jose.SpiffeBundle>())
        {
            // What was fetched since is newer than what the file says (Federation §5.2.2.4).
            await bundles.SetAsync(bootstrap, Expected.Nothing, cancellationToken).ConfigureAwait(false);
        }

        var fetcher = new BundleFetcher(
            trustDomain => trustDomain == config.TrustDomain ? authorities.Current.Bundle : bundles.Find(trustDomain)?.X509,
            federation.WebRoots is { } roots ? [.. roots.Select(root => X509CertificateLoader.LoadCertificate(root.Der.Span))] : null,
            time);
        return new TrustFederation(relationships, bundles, new PublishedBundle(authorities, federation.RefreshHint), fetcher, time, logs);
    }

    /// <summary>Whether entries may federate with a trust domain: there is a bundle of it, or a place to fetch one from.</summary>
    public bool Knows(TrustDomain trustDomain) => Bundles.Find(trustDomain) is not null || Relationships.Find(trustDomain) is not null;

    /// <summary>Deletes a bundle. What federates with its trust domain is dealt with first, so that a failure in between leaves something to repeat.</summary>
    public async Task<FederationResult> DeleteBundleAsync(TrustDomain trustDomain, DeletionMode mode, EntryDirectory entries, CancellationToken cancellationToken)
    {
        if (Bundles.Find(trustDomain) is null)
        {
            return FederatedBundles.Missing(trustDomain);
        }

        var federating = entries.Entries.Values.Where(entry => entry.FederatesWith.Contains(trustDomain)).Select(entry => entry.Id).ToArray();
        if (federating.Length > 0)
        {
            switch (mode)
            {
                case DeletionMode.Delete:
                    await entries.DeleteAsync(federating, cancellationToken).ConfigureAwait(false);
                    break;
                case DeletionMode.Dissociate:
                    await entries.DissociateAsync(trustDomain, cancellationToken).ConfigureAwait(false);
                    break;
                default:
                    return new FederationResult(
                        FederationOutcome.Hindered, $"{federating.Length} entries federate with {trustDomain}, the first {federating[0]}; say what becomes of them: --mode dissociate or --mode delete");
            }
        }

        return await Bundles.DeleteAsync(trustDomain, cancellationToken).ConfigureAwait(false) ? FederationResult.Done : FederatedBundles.Missing(trustDomain);
    }

    public void Dispose()
    {
        _metrics.Dispose();
        Bundles.Dispose();
        Relationships.Dispose();
    }
}
