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
                    row.Time("not_after"),
                    row.Time("attested_at"),
                    row.Flag("banned"))),
            cancellationToken).ConfigureAwait(false);

    public Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                connection.Execute(
                    transaction,
                    "INSERT OR REPLACE INTO agents VALUES ($spiffe_id, $attestor, $selectors, $serial, $not_after, $attested_at, $banned)",
                    ("$spiffe_id", agent.SpiffeId.Uri),
                    ("$attestor", agent.Attestor),
                    ("$selectors", JsonList.Write(agent.Selectors.Select(selector => selector.ToString()))),
                    ("$serial", agent.SerialHex),
                    ("$not_after", Millis(agent.NotAfter)),
                    ("$attested_at", Millis(agent.AttestedAt)),
                    ("$banned", agent.Banned));
            },
            cancellationToken);

    public Task AddAsync(JoinToken token, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                connection.Execute(
                    transaction,
                    "INSERT INTO join_tokens (digest, alias, expires_at) VALUES ($digest, $alias, $expires_at)",
                    ("$digest", token.Digest.ToArray()),
                    ("$alias", token.Alias?.Uri),
                    ("$expires_at", Millis(token.ExpiresAt)));
            },
            cancellationToken);

    public Task<JoinToken?> TakeAsync(ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                "DELETE FROM join_tokens WHERE digest = $digest RETURNING alias, expires_at",
                row => new JoinToken(digest, row.IsDBNull(0) ? null : SpiffeId.Parse(row.GetString(0)), row.Time("expires_at")),
                ("$digest", digest.ToArray())).SingleOrDefault(),
            cancellationToken);

    public Task PruneAsync(DateTimeOffset now, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => { connection.Execute(transaction, "DELETE FROM join_tokens WHERE expires_at <= $now", ("$now", Millis(now))); }, cancellationToken);
}
