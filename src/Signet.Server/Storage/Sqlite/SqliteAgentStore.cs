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
                """
                INSERT INTO join_tokens (digest, alias, expires_at) VALUES ($digest, $alias, $expires_at)
                ON CONFLICT (digest) DO UPDATE SET alias = excluded.alias, expires_at = excluded.expires_at, used_by = NULL, used_until = NULL WHERE used_by IS NOT NULL
                """,
                ("$digest", token.Digest.ToArray()),
                ("$alias", token.Alias?.Uri),
                ("$expires_at", Millis(token.ExpiresAt))) == 1,
            cancellationToken);

    public Task<JoinToken?> FindAsync(ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                "SELECT alias, expires_at, used_until FROM join_tokens WHERE digest = $digest",
                row => new JoinToken(digest, row.IsDBNull(0) ? null : SpiffeId.Parse(row.GetString(0)), row.Time("expires_at")) { UsedUntil = row.OptionalTime("used_until") },
                ("$digest", digest.ToArray())).SingleOrDefault(),
            cancellationToken);

    public Task<bool> RedeemAsync(ReadOnlyMemory<byte> digest, AttestedAgent agent, JoinTokenUse use, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                // The moment counts from the first use: asking again does not prolong it.
                var taken = connection.Execute(
                    transaction,
                    """
                    UPDATE join_tokens SET used_by = $key, used_until = coalesce(used_until, $until)
                    WHERE digest = $digest AND (used_by IS NULL OR (used_by = $key AND used_until > $now))
                    """,
                    ("$digest", digest.ToArray()),
                    ("$key", use.Key.ToArray()),
                    ("$now", Millis(use.At)),
                    ("$until", Millis(use.Until)));
                if (taken == 0)
                {
                    return false;
                }

                Save(connection, transaction, agent);
                return true;
            },
            cancellationToken);

    public Task PruneAsync(DateTimeOffset now, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => { connection.Execute(transaction, "DELETE FROM join_tokens WHERE coalesce(used_until, expires_at) <= $now", ("$now", Millis(now))); }, cancellationToken);

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
