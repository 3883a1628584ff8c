using System.Collections.Immutable;
using Signet.Authority.Rotation;
using Signet.Server.Storage.Sqlite;

namespace Signet.CrashingServer;

/// <summary>What a server must remember at one moment.</summary>
internal sealed record StoreContent(AuthorityLedger Ledger, ImmutableSortedSet<string> EntryIds, ImmutableSortedSet<string> Serials)
{
    /// <summary>The authorities without their names: <c>anchor active, issuing active, jwt active</c>.</summary>
    public string Shape => string.Join(", ", Ledger.Records.Select(record => $"{record.Tier} {record.State}".ToLowerInvariant()).Order(StringComparer.Ordinal));

    public static async Task<StoreContent> ReadAsync(SqliteDatabase database)
    {
        var ledger = await new SqliteAuthorityStore(database).LoadAsync(CancellationToken.None);
        var entries = await new SqliteEntryStore(database).LoadAsync(CancellationToken.None);
        var serials = await database.RunAsync(
            (connection, transaction) => connection.Query(transaction, "SELECT serial FROM issued_certificates", row => row.Text("serial")), CancellationToken.None);
        return new StoreContent(ledger, [.. entries.Select(entry => entry.Id)], [.. serials]);
    }

    /// <summary>All of it, on one line.</summary>
    public override string ToString() => string.Join(
        ' ',
        Ledger.Records.Select(record => $"{record.Id}={record.State}")
            .Append($"rotation={Ledger.Rotation?.Successor}/{Ledger.Rotation?.Stage}")
            .Concat(Ledger.DoomedKeys.Order(StringComparer.Ordinal).Select(name => $"doomed={name}"))
            .Concat(EntryIds.Select(id => $"entry={id}"))
            .Concat(Serials.Select(serial => $"issued={serial}")));
}
