using System.Collections.Immutable;
using Microsoft.Data.Sqlite;
using Signet.Authority.Issuance;
using Signet.Authority.Revocation;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using static Signet.Server.Storage.Sqlite.SqliteCommands;

namespace Signet.Server.Storage.Sqlite;

/// <summary>What the authority must remember: its own generations, and every certificate it signed.</summary>
internal sealed class SqliteAuthorityStore(SqliteDatabase database) : IAuthorityJournal, IIssuanceLog, ILiveCertificates
{
    public Task<AuthorityLedger> LoadAsync(CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => new AuthorityLedger(
                [.. connection.Query(transaction, "SELECT * FROM authorities ORDER BY seq", ReadRecord)],
                connection.Query(transaction, "SELECT * FROM anchor_rotation", ReadRotation).SingleOrDefault())
            {
                RevokedCertificates = connection.Query(transaction, "SELECT * FROM revoked_certificates", ReadRevoked).ToImmutableDictionary(one => one.Serial, StringComparer.Ordinal),
                DoomedKeys = [.. connection.Query(transaction, "SELECT key_name FROM doomed_keys", row => row.Text("key_name"))],
                Lists = connection.Query(transaction, "SELECT * FROM revocation_lists", ReadList).ToImmutableDictionary(one => one.AnchorId, one => one.List, StringComparer.Ordinal),
            },
            cancellationToken);

    public Task<ulong> CommitAsync(AuthorityChange change, string content, CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) =>
            {
                foreach (var record in change.Saved)
                {
                    Save(connection, transaction, record);
                }

                foreach (var revoked in change.RevokedCertificates)
                {
                    Save(connection, transaction, revoked);
                }

                foreach (var serial in change.ForgottenCertificates)
                {
                    connection.Execute(transaction, "DELETE FROM revoked_certificates WHERE serial = $serial", ("$serial", serial));
                }

                foreach (var name in change.DeletedKeys)
                {
                    connection.Execute(transaction, "DELETE FROM doomed_keys WHERE key_name = $name", ("$name", name));
                }

                foreach (var id in change.Forgotten)
                {
                    connection.Execute(transaction, "INSERT OR IGNORE INTO doomed_keys SELECT key_name FROM authorities WHERE id = $id AND key_name <> ''", ("$id", id));
                    connection.Execute(transaction, "DELETE FROM authorities WHERE id = $id", ("$id", id));
                }

                if (change.Rotation is { } rotation)
                {
                    Save(connection, transaction, rotation);
                }

                if (change.List is { } list)
                {
                    connection.Execute(
                        transaction, "INSERT OR REPLACE INTO revocation_lists VALUES ($anchor_id, $list)", ("$anchor_id", list.AnchorId), ("$list", list.List.Der.ToArray()));
                }

                return Count(connection, transaction, content);
            },
            cancellationToken);

    /// <summary>Certificates that an authority signed for one caller and that have not expired.</summary>
    public async Task<IReadOnlyList<LiveCertificates>> LiveAsync(IReadOnlyCollection<string> authorityIds, DateTimeOffset now, CancellationToken cancellationToken) =>
        await database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                """
                WITH live AS (
                  SELECT spiffe_id, requested_by, not_after, issued_at, authority_id IN (SELECT value FROM json_each($authorities)) AS counts
                  FROM issued_certificates WHERE not_after >= $now
                ), newer AS (SELECT requested_by, spiffe_id, MAX(issued_at) AS issued_at FROM live WHERE NOT counts GROUP BY requested_by, spiffe_id)
                SELECT live.requested_by, COUNT(*) AS certificates, MAX(live.not_after) AS last, CASE WHEN COUNT(newer.issued_at) = COUNT(*) THEN MAX(newer.issued_at) END AS replaced_at
                FROM live LEFT JOIN newer ON newer.requested_by = live.requested_by AND newer.spiffe_id = live.spiffe_id AND newer.issued_at >= live.issued_at
                WHERE live.counts
                GROUP BY live.requested_by ORDER BY live.requested_by
                """,
                row => new LiveCertificates(row.Text("requested_by"), row.GetInt32(1), row.Time("last")) { ReplacedAt = row.OptionalTime("replaced_at") },
                ("$now", Millis(now)),
                ("$authorities", JsonList.Write(authorityIds))),
            cancellationToken).ConfigureAwait(false);

    /// <summary>Certificates that have not expired: the one with this serial number, or those of this SPIFFE ID; of many the newest.</summary>
    public async Task<IReadOnlyList<LiveCertificate>> FindLiveAsync(string? serial, string? spiffeId, int limit, DateTimeOffset now, CancellationToken cancellationToken) =>
        await database.RunAsync(
            (connection, transaction) => connection.Query(
                transaction,
                "SELECT serial, spiffe_id, authority_id, not_after FROM issued_certificates WHERE not_after >= $now AND (serial = $serial OR spiffe_id = $spiffe_id) ORDER BY issued_at DESC LIMIT $limit",
                row => new LiveCertificate(row.Text("serial"), row.Text("spiffe_id"), row.Text("authority_id"), row.Time("not_after")),
                ("$now", Millis(now)),
                ("$serial", serial),
                ("$spiffe_id", spiffeId),
                ("$limit", limit)),
            cancellationToken).ConfigureAwait(false);

    /// <summary>
    /// When the last of all certificates ends; null when there is none. A server that starts after that was off for long, or its clock is wrong.
    /// </summary>
    public Task<DateTimeOffset?> LastNotAfterAsync(CancellationToken cancellationToken) =>
        database.RunAsync(
            (connection, transaction) => connection.Query(transaction, "SELECT MAX(not_after) AS last FROM issued_certificates", row => row.OptionalTime("last")).Single(), cancellationToken);

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

    private static void Save(SqliteConnection connection, SqliteTransaction transaction, AuthorityRecord record) =>
        connection.Execute(
            transaction,
            """
            INSERT INTO authorities (id, tier, state, certificate, above, public_key, not_before, not_after, key_name)
            VALUES ($id, $tier, $state, $certificate, $above, $public_key, $not_before, $not_after, $key_name)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state
            """,
            ("$id", record.Id),
            ("$tier", Word(record.Tier)),
            ("$state", Word(record.State)),
            ("$certificate", (record as X509AuthorityRecord)?.Certificate.Der.ToArray()),
            ("$above", record is X509AuthorityRecord { Above.IsEmpty: false } issuing ? CertificateList.Encode(issuing.Above) : null),
            ("$public_key", (record as JwtAuthorityRecord)?.Authority.Key.SubjectPublicKeyInfo.ToArray()),
            ("$not_before", record is JwtAuthorityRecord ? Millis(record.Validity.NotBefore) : null),
            ("$not_after", record is JwtAuthorityRecord ? Millis(record.Validity.NotAfter) : null),
            ("$key_name", record.KeyName));

    private static void Save(SqliteConnection connection, SqliteTransaction transaction, RevokedCertificate revoked) =>
        connection.Execute(
            transaction,
            "INSERT INTO revoked_certificates VALUES ($serial, $spiffe_id, $authority_id, $not_after, $revoked_at, $reason, $revoked_by)",
            ("$serial", revoked.Serial),
            ("$spiffe_id", revoked.SpiffeId),
            ("$authority_id", revoked.AuthorityId),
            ("$not_after", Millis(revoked.NotAfter)),
            ("$revoked_at", Millis(revoked.At)),
            ("$reason", revoked.Reason.Name()),
            ("$revoked_by", revoked.By));

    private static RevokedCertificate ReadRevoked(SqliteDataReader row) => new(
        row.Text("serial"),
        row.Text("spiffe_id"),
        row.Text("authority_id"),
        row.Time("not_after"),
        row.Time("revoked_at"),
        RevocationReasons.TryParse(row.Text("reason"), out var reason, out var problem) ? reason.Value : throw new StoreException(StoreProblem.WrongSchema, $"stored {problem}"),
        row.Text("revoked_by"));

    private static void Save(SqliteConnection connection, SqliteTransaction transaction, AnchorRotation rotation) =>
        connection.Execute(
            transaction,
            "INSERT OR REPLACE INTO anchor_rotation VALUES (1, $successor, $stage, $started_at, $started_by, $stage_since, $forced_because)",
            ("$successor", rotation.Successor),
            ("$stage", Word(rotation.Stage)),
            ("$started_at", Millis(rotation.StartedAt)),
            ("$started_by", rotation.StartedBy),
            ("$stage_since", Millis(rotation.StageSince)),
            ("$forced_because", rotation.ForcedBecause));

    private static ulong Count(SqliteConnection connection, SqliteTransaction transaction, string content)
    {
        connection.Execute(
            transaction,
            """
            INSERT INTO published_bundle VALUES (1, 1, $content)
            ON CONFLICT (one) DO UPDATE SET sequence = sequence + (content <> excluded.content), content = excluded.content
            """,
            ("$content", content));
        return (ulong)connection.Query(transaction, "SELECT sequence FROM published_bundle", row => row.GetInt64(0)).Single();
    }

    private static AuthorityRecord ReadRecord(SqliteDataReader row)
    {
        var tier = Enum.Parse<AuthorityTier>(row.Text("tier"), ignoreCase: true);
        var state = Enum.Parse<SlotState>(row.Text("state"), ignoreCase: true);
        if (tier is not (AuthorityTier.Jwt or AuthorityTier.Wit))
        {
            return new X509AuthorityRecord(row.Text("id"), tier, state, Certificate.Parse(row.Bytes("certificate")), row.Text("key_name")) { Above = ReadAbove(row) };
        }

        return JwtAuthority.TryCreate(row.Text("id"), row.Bytes("public_key"), row.Time("not_after"), out var authority, out var problem)
            ? new JwtAuthorityRecord(tier, state, authority, row.Time("not_before"), row.Text("key_name"))
            : throw new StoreException(StoreProblem.WrongSchema, $"stored {problem}");
    }

    private static ImmutableArray<Certificate> ReadAbove(SqliteDataReader row) =>
        row.IsDBNull(row.GetOrdinal("above")) ? []
        : CertificateList.TryParse(row.Bytes("above"), out var above, out var problem) ? [.. above]
        : throw new StoreException(StoreProblem.WrongSchema, $"stored {problem}");

    private static AnchorList ReadList(SqliteDataReader row) => CertificateRevocationList.TryParse(row.Bytes("list"), out var list, out var problem)
        ? new AnchorList(row.Text("anchor_id"), list)
        : throw new StoreException(StoreProblem.WrongSchema, $"stored {problem}");

    private static AnchorRotation ReadRotation(SqliteDataReader row) => new(
        row.Text("successor"),
        Enum.Parse<AnchorStage>(row.Text("stage"), ignoreCase: true),
        row.Time("started_at"),
        row.Text("started_by"),
        row.Time("stage_since"),
        row.OptionalText("forced_because"));

    private static string Word(Enum value) => value.ToString().ToLowerInvariant();
}
