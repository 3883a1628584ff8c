using Microsoft.Data.Sqlite;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Registration;
using static Signet.Server.Storage.Sqlite.SqliteCommands;

namespace Signet.Server.Storage.Sqlite;

internal sealed class SqliteEntryStore(SqliteDatabase database) : IEntryStore
{
    public async Task<IReadOnlyList<RegistrationEntry>> LoadAsync(CancellationToken cancellationToken) =>
        await database.RunAsync(
            (connection, transaction) => connection.Query(transaction, "SELECT * FROM entries ORDER BY created_at, id", Read), cancellationToken).ConfigureAwait(false);

    public Task ChangeAsync(IReadOnlyList<RegistrationEntry> saved, IReadOnlyList<string> deletedIds, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                foreach (var id in deletedIds)
                {
                    connection.Execute(transaction, "DELETE FROM entries WHERE id = $id", ("$id", id));
                }

                foreach (var entry in saved)
                {
                    Save(connection, transaction, entry);
                }
            },
            cancellationToken);

    private static void Save(SqliteConnection connection, SqliteTransaction transaction, RegistrationEntry entry) =>
        connection.Execute(
            transaction,
            """
            INSERT OR REPLACE INTO entries
              (id, spiffe_id, parent_id, selectors, dns_names, federates_with, hint, x509_ttl, jwt_ttl, admin, downstream, expires_at, owner, revision, created_at,
               svid_key_type, svid_subject, svid_names)
            VALUES
              ($id, $spiffe_id, $parent_id, $selectors, $dns_names, $federates_with, $hint, $x509_ttl, $jwt_ttl, $admin, $downstream, $expires_at, $owner, $revision, $created_at,
               $svid_key_type, $svid_subject, $svid_names)
            """,
            ("$id", entry.Id),
            ("$spiffe_id", entry.SpiffeId.Uri),
            ("$parent_id", entry.ParentId.Uri),
            ("$selectors", JsonList.Write(entry.Selectors.Select(selector => selector.ToString()))),
            ("$dns_names", JsonList.Write(entry.DnsNames)),
            ("$federates_with", JsonList.Write(entry.FederatesWith.Select(trustDomain => trustDomain.Name))),
            ("$hint", entry.Hint),
            ("$x509_ttl", (long?)entry.X509Ttl?.TotalMilliseconds),
            ("$jwt_ttl", (long?)entry.JwtTtl?.TotalMilliseconds),
            ("$admin", entry.Admin),
            ("$downstream", entry.Downstream),
            ("$expires_at", entry.ExpiresAt is { } end ? Millis(end) : null),
            ("$owner", entry.Owner),
            ("$revision", entry.Revision),
            ("$created_at", Millis(entry.CreatedAt)),
            ("$svid_key_type", entry.Template.KeyType?.Name() ?? ""),
            ("$svid_subject", entry.Template.Subject),
            ("$svid_names", JsonList.Write(entry.Template.Names)));

    private static RegistrationEntry Read(SqliteDataReader row) => new()
    {
        Id = row.Text("id"),
        SpiffeId = SpiffeId.Parse(row.Text("spiffe_id")),
        ParentId = SpiffeId.Parse(row.Text("parent_id")),
        Selectors = [.. JsonList.Read(row.Text("selectors")).Select(ReadSelector)],
        DnsNames = [.. JsonList.Read(row.Text("dns_names"))],
        FederatesWith = [.. JsonList.Read(row.Text("federates_with")).Select(TrustDomain.Parse)],
        Hint = row.Text("hint"),
        X509Ttl = row.OptionalSpan("x509_ttl"),
        JwtTtl = row.OptionalSpan("jwt_ttl"),
        Admin = row.Flag("admin"),
        Downstream = row.Flag("downstream"),
        ExpiresAt = row.OptionalTime("expires_at"),
        Owner = row.Text("owner"),
        Revision = row.GetInt64(row.GetOrdinal("revision")),
        CreatedAt = row.Time("created_at"),
        Template = ReadTemplate(row.Text("svid_key_type"), row.Text("svid_subject"), JsonList.Read(row.Text("svid_names"))),
    };

    private static SvidTemplate ReadTemplate(string keyType, string subject, string[] names) => keyType.Length + subject.Length + names.Length == 0 ? SvidTemplate.None : new()
    {
        KeyType = KeyTypes.TryParse(keyType, out var known, out _) ? known : null,
        Subject = subject,
        Names = [.. names],
    };
}
