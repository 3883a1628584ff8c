using Microsoft.Data.Sqlite;
using Signet.Authority.Issuance;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.X509;
using static Signet.Server.Storage.Sqlite.SqliteCommands;

namespace Signet.Server.Storage.Sqlite;

/// <summary>What the authority must remember: its own generations, and every certificate it signed.</summary>
internal sealed class SqliteAuthorityStore(SqliteDatabase database) : IAuthorityJournal, IIssuanceLog
{
    public async Task<IReadOnlyList<AuthorityRecord>> LoadAsync(CancellationToken cancellationToken) =>
        await database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                "SELECT * FROM authorities ORDER BY seq",
                ReadRecord),
            cancellationToken).ConfigureAwait(false);

    public Task SaveAsync(IReadOnlyList<AuthorityRecord> records, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                foreach (var record in records)
                {
                    connection.Execute(
                        transaction,
                        """
                        INSERT INTO authorities (id, tier, state, certificate, public_key, not_before, not_after, key_name)
                        VALUES ($id, $tier, $state, $certificate, $public_key, $not_before, $not_after, $key_name)
                        ON CONFLICT (id) DO UPDATE SET state = excluded.state
                        """,
                        ("$id", record.Id),
                        ("$tier", record.Tier.ToString().ToLowerInvariant()),
                        ("$state", record.State.ToString().ToLowerInvariant()),
                        ("$certificate", (record as X509AuthorityRecord)?.Certificate.Der.ToArray()),
                        ("$public_key", (record as JwtAuthorityRecord)?.Authority.Key.SubjectPublicKeyInfo.ToArray()),
                        ("$not_before", record is JwtAuthorityRecord ? Millis(record.Validity.NotBefore) : null),
                        ("$not_after", record is JwtAuthorityRecord ? Millis(record.Validity.NotAfter) : null),
                        ("$key_name", record.KeyName));
                }
            },
            cancellationToken);

    public Task DeleteAsync(string id, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => { connection.Execute(transaction, "DELETE FROM authorities WHERE id = $id", ("$id", id)); }, cancellationToken);

    /// <summary>Forgets certificates that expired before a moment.</summary>
    public Task PruneIssuedAsync(DateTimeOffset before, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => { connection.Execute(transaction, "DELETE FROM issued_certificates WHERE not_after < $before", ("$before", Millis(before))); }, cancellationToken);

    public Task AppendAsync(IReadOnlyList<IssuedCertificate> issued, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                foreach (var one in issued)
                {
                    connection.Execute(
                        transaction,
                        "INSERT INTO issued_certificates VALUES ($serial, $spiffe_id, $requested_by, $authority_id, $not_before, $not_after, $issued_at, $certificate)",
                        ("$serial", one.Certificate.SerialHex),
                        ("$spiffe_id", one.SpiffeId),
                        ("$requested_by", one.RequestedBy),
                        ("$authority_id", one.AuthorityId),
                        ("$not_before", Millis(one.Certificate.NotBefore)),
                        ("$not_after", Millis(one.Certificate.NotAfter)),
                        ("$issued_at", Millis(one.IssuedAt)),
                        ("$certificate", one.Certificate.Der.ToArray()));
                }
            },
            cancellationToken);

    private static AuthorityRecord ReadRecord(SqliteDataReader row)
    {
        var tier = Enum.Parse<AuthorityTier>(row.Text("tier"), ignoreCase: true);
        var state = Enum.Parse<AuthorityState>(row.Text("state"), ignoreCase: true);
        if (tier != AuthorityTier.Jwt)
        {
            return new X509AuthorityRecord(row.Text("id"), tier, state, Certificate.Parse(row.Bytes("certificate")), row.Text("key_name"));
        }

        return JwtAuthority.TryCreate(row.Text("id"), row.Bytes("public_key"), row.Time("not_after"), out var authority, out var problem)
            ? new JwtAuthorityRecord(state, authority, row.Time("not_before"), row.Text("key_name"))
            : throw new StoreException(StoreProblem.WrongSchema, $"stored {problem}");
    }
}
