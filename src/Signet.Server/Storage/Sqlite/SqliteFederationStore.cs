using Microsoft.Data.Sqlite;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Server.Federation;

namespace Signet.Server.Storage.Sqlite;

internal sealed class SqliteFederationStore(SqliteDatabase database) : IRelationshipStore, IBundleStore
{
    public async Task<IReadOnlyList<FederationRelationship>> LoadRelationshipsAsync(CancellationToken cancellationToken) =>
        await database.RunAsync(
            (connection, transaction) => connection.Query(transaction, "SELECT * FROM federation_relationships", ReadRelationship), cancellationToken).ConfigureAwait(false);

    public Task SaveAsync(FederationRelationship relationship, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                connection.Execute(
                    transaction,
                    "INSERT OR REPLACE INTO federation_relationships (trust_domain, url, endpoint_id) VALUES ($trust_domain, $url, $endpoint_id)",
                    ("$trust_domain", relationship.TrustDomain.Name),
                    ("$url", relationship.Url.ToString()),
                    ("$endpoint_id", (relationship.Profile as EndpointProfile.HttpsSpiffe)?.EndpointId.Uri));
            },
            cancellationToken);

    public Task DeleteRelationshipAsync(TrustDomain trustDomain, CancellationToken cancellationToken) =>
        DeleteAsync("DELETE FROM federation_relationships WHERE trust_domain = $trust_domain", trustDomain, cancellationToken);

    public async Task<IReadOnlyList<SpiffeBundle>> LoadBundlesAsync(CancellationToken cancellationToken) =>
        await database.RunAsync(
            (connection, transaction) => connection.Query(transaction, "SELECT * FROM federated_bundles", ReadBundle), cancellationToken).ConfigureAwait(false);

    public Task SaveAsync(SpiffeBundle bundle, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                connection.Execute(
                    transaction,
                    "INSERT OR REPLACE INTO federated_bundles (trust_domain, bundle) VALUES ($trust_domain, $bundle)",
                    ("$trust_domain", bundle.TrustDomain.Name),
                    ("$bundle", bundle.ToJson()));
            },
            cancellationToken);

    public Task DeleteBundleAsync(TrustDomain trustDomain, CancellationToken cancellationToken) =>
        DeleteAsync("DELETE FROM federated_bundles WHERE trust_domain = $trust_domain", trustDomain, cancellationToken);

    private Task DeleteAsync(string sql, TrustDomain trustDomain, CancellationToken cancellationToken) =>
        database.RunAsync((connection, transaction) => { connection.Execute(transaction, sql, ("$trust_domain", trustDomain.Name)); }, cancellationToken);

    private static FederationRelationship ReadRelationship(SqliteDataReader row)
    {
        var url = BundleEndpointUrl.TryParse(row.Text("url"), out var read, out var problem) ? read : throw new StoreException(StoreProblem.WrongSchema, $"stored {problem}");
        return new FederationRelationship(
            TrustDomain.Parse(row.Text("trust_domain")),
            url,
            row.OptionalText("endpoint_id") is { } id ? new EndpointProfile.HttpsSpiffe(SpiffeId.Parse(id)) : new EndpointProfile.HttpsWeb());
    }

    private static SpiffeBundle ReadBundle(SqliteDataReader row) =>
        SpiffeBundle.TryParse(TrustDomain.Parse(row.Text("trust_domain")), row.Text("bundle"), out var bundle, out var problem)
            ? bundle
            : throw new StoreException(StoreProblem.WrongSchema, $"stored {problem}");
}
