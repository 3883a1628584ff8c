using Signet.Server.Audit;

namespace Signet.Server.Storage.Sqlite;

internal sealed class SqliteAuditAnchorStore(SqliteDatabase database) : IAuditAnchorStore
{
    public Task<AuditAnchors?> LoadAsync(CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                "SELECT * FROM audit_anchors",
                row => new AuditAnchors(
                    new AuditPosition(row.GetInt64(row.GetOrdinal("start_sequence")), row.Text("start_hash")),
                    new AuditPosition(row.GetInt64(row.GetOrdinal("head_sequence")), row.Text("head_hash")))).SingleOrDefault(),
            cancellationToken);

    public Task SaveAsync(AuditAnchors anchors, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                connection.Execute(
                    transaction,
                    "INSERT OR REPLACE INTO audit_anchors VALUES (1, $start_sequence, $start_hash, $head_sequence, $head_hash)",
                    ("$start_sequence", anchors.Start.Sequence),
                    ("$start_hash", anchors.Start.Hash),
                    ("$head_sequence", anchors.Head.Sequence),
                    ("$head_hash", anchors.Head.Hash));
            },
            cancellationToken);
}
