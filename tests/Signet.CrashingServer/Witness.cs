using System.Collections.Immutable;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Registration;
using Signet.Identity.X509;
using Signet.Server.Registration;
using Signet.Server.Storage.Sqlite;
using SQLitePCL;

namespace Signet.CrashingServer;

/// <summary>
/// Stands between the authority and all that lasts, and names each step as it is reached: a key that was made or deleted, a write to the store when it is
/// whole but not committed, and once it is. It knows what the store must hold at that moment.
/// </summary>
internal sealed class Witness(IKeyManager keys, SqliteDatabase database, StoreContent before, Action<string, StoreContent> reached) : IKeyManager, IAuthorityJournal, IIssuanceLog, IEntryStore
{
    private readonly SqliteAuthorityStore _authorities = new(database);
    private readonly SqliteEntryStore _entries = new(database);
    private StoreContent _content = before;
    private string _writing = "";

    /// <summary>Called with the serial number of each certificate that was signed, whether or not anything remembers it.</summary>
    public Action<string> Signed { get; init; } = _ => { };

    public static async Task<Witness> CreateAsync(IKeyManager keys, SqliteDatabase database, Action<string, StoreContent> reached, Action<string> signed)
    {
        var witness = new Witness(keys, database, await StoreContent.ReadAsync(database), reached) { Signed = signed };
        await database.RunAsync((connection, _) => witness.Hook(connection), CancellationToken.None);
        return witness;
    }

    public async Task<AsymmetricAlgorithm> GenerateAsync(string name, KeyType type, CancellationToken cancellationToken)
    {
        var key = await keys.GenerateAsync(name, type, cancellationToken);
        reached($"{KindOf(name)} key made", _content);
        return key;
    }

    public async Task ImportAsync(string name, AsymmetricAlgorithm key, CancellationToken cancellationToken)
    {
        await keys.ImportAsync(name, key, cancellationToken);
        reached($"{KindOf(name)} key imported", _content);
    }

    public Task<AsymmetricAlgorithm?> FindAsync(string name, CancellationToken cancellationToken) => keys.FindAsync(name, cancellationToken);

    public async Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await keys.DeleteAsync(name, cancellationToken);
        reached($"{KindOf(name)} key deleted", _content);
    }

    Task<AuthorityLedger> IAuthorityJournal.LoadAsync(CancellationToken cancellationToken) => _authorities.LoadAsync(cancellationToken);

    public Task<ulong> CommitAsync(AuthorityChange change, string content, CancellationToken cancellationToken) =>
        WriteAsync("journal", _content with { Ledger = _content.Ledger.After(change) }, () => _authorities.CommitAsync(change, content, cancellationToken));

    public Task AppendAsync(IReadOnlyList<IssuedCertificate> issued, CancellationToken cancellationToken)
    {
        foreach (var one in issued)
        {
            Signed(one.Certificate.SerialHex);
        }

        return WriteAsync("log", _content with { Serials = _content.Serials.Union(issued.Select(one => one.Certificate.SerialHex)) }, async () =>
        {
            await _authorities.AppendAsync(issued, cancellationToken);
            return true;
        });
    }

    Task<IReadOnlyList<RegistrationEntry>> IEntryStore.LoadAsync(CancellationToken cancellationToken) => _entries.LoadAsync(cancellationToken);

    public Task ChangeAsync(IReadOnlyList<RegistrationEntry> saved, IReadOnlyList<string> deletedIds, CancellationToken cancellationToken) =>
        WriteAsync("entries", _content with { EntryIds = _content.EntryIds.Except(deletedIds).Union(saved.Select(entry => entry.Id)) }, async () =>
        {
            await _entries.ChangeAsync(saved, deletedIds, cancellationToken);
            return true;
        });

    private static string KindOf(string keyName) => keyName[..keyName.IndexOf('-', StringComparison.Ordinal)];

    private async Task<T> WriteAsync<T>(string what, StoreContent after, Func<Task<T>> write)
    {
        _writing = what;
        var result = await write();
        (_writing, _content) = ("", after);
        reached($"{what} written", _content);
        return result;
    }

    // SQLite calls this when everything of a transaction has been done and nothing of it is committed.
    private void Hook(SqliteConnection connection) => raw.sqlite3_commit_hook(
        connection.Handle,
        _ =>
        {
            if (_writing.Length > 0)
            {
                reached($"{_writing} half-written", _content);
            }

            return 0;
        },
        null);
}
