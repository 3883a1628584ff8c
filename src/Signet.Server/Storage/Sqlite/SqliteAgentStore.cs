using Microsoft.Data.Sqlite;
using Signet.Identity.Spiffe;
using Signet.Server.Attestation;
using static Signet.Server.Storage.Sqlite.SqliteCommands;

namespace Signet.Server.Storage.Sqlite;

internal sealed class SqliteAgentStore(SqliteDatabase database) : IAgentStore, IJoinTokenStore
{
    public async Task<IReadOnlyList<AttestedAgent>> LoadAsync(CancellationToken cancellationToken) =>
        await database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                "SELECT * FROM agents",
                row => new AttestedAgent(
                    SpiffeId.Parse(row.Text("spiffe_id")),
                    row.Text("attestor"),
                    [.. JsonList.Read(row.Text("selectors")).Select(ReadSelector)],
                    row.Text("serial"),
                    row.OptionalText("pending"),
                    row.Time("not_after"),
                    row.Time("attested_at"),
                    row.Flag("banned"),
                    row.Flag("can_reattest"))),
            cancellationToken).ConfigureAwait(false);

    public Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken) =>
        database.RunAsync((connection, transaction) => Save(connection, transaction, agent), cancellationToken);

    public Task DeleteAsync(IReadOnlyList<SpiffeId> ids, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                foreach (var id in ids)
                {
                    connection.Execute(transaction, "DELETE FROM agents WHERE spiffe_id = $spiffe_id", ("$spiffe_id", id.Uri));
                }
            },
            cancellationToken);

    public Task<bool> AddAsync(JoinToken token, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => connection.Execute(
                transaction,
                "INSERT INTO join_tokens (digest, alias, expires_at) VALUES ($digest, $alias, $expires_at) ON CONFLICT DO NOTHING",
                ("$digest", token.Digest.ToArray()),
                ("$alias", token.Alias?.Uri),
                ("$expires_at", Millis(token.ExpiresAt))) == 1,
            cancellationToken);

    public Task<JoinToken?> FindAsync(ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                "SELECT alias, expires_at FROM join_tokens WHERE digest = $digest",
                row => new JoinToken(digest, row.IsDBNull(0) ? null : SpiffeId.Parse(row.GetString(0)), row.Time("expires_at")),
                ("$digest", digest.ToArray())).SingleOrDefault(),
            cancellationToken);

    public Task<bool> RedeemAsync(ReadOnlyMemory<byte> digest, AttestedAgent agent, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                if (connection.Execute(transaction, "DELETE FROM join_tokens WHERE digest = $digest", ("$digest", digest.ToArray())) == 0)
                {
                    return false;
                }

                Save(connection, transaction, agent);
                return true;
            },
            cancellationToken);

    public Task PruneAsync(DateTimeOffset now, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => { connection.Execute(transaction, "DELETE FROM join_tokens WHERE expires_at <= $now", ("$now", Millis(now))); }, cancellationToken);

    private static void Save(SqliteConnection connection, SqliteTransaction transaction, AttestedAgent agent) =>
        connection.Execute(
            transaction,
            """
            INSERT INTO agents (spiffe_id, attestor, selectors, serial, pending, not_after, attested_at, banned, can_reattest)
            VALUES ($spiffe_id, $attestor, $selectors, $serial, $pending, $not_after, $attested_at, $banned, $can_reattest)
            ON CONFLICT (spiffe_id) DO UPDATE SET attestor = excluded.attestor, selectors = excluded.selectors, serial = excluded.serial, pending = excluded.pending,
              not_after = excluded.not_after, attested_at = excluded.attested_at, banned = max(banned, excluded.banned), can_reattest = excluded.can_reattest
            """,
            ("$spiffe_id", agent.SpiffeId.Uri),
            ("$attestor", agent.Attestor),
            ("$selectors", JsonList.Write(agent.Selectors.Select(selector => selector.ToString()))),
            ("$serial", agent.SerialHex),
            ("$pending", agent.PendingHex),
            ("$not_after", Millis(agent.NotAfter)),
            ("$attested_at", Millis(agent.AttestedAt)),
            ("$banned", agent.Banned),
            ("$can_reattest", agent.CanReattest));
}
