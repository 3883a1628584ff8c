using Microsoft.Data.Sqlite;
using Signet.Server.Telemetry;
using SQLitePCL;

namespace Signet.Server.Storage.Sqlite;

/// <summary>
/// One SQLite file, one connection, one caller at a time, and no second process. Write-ahead logging: a process that is killed loses
/// nothing that was committed.
/// </summary>
internal sealed class SqliteDatabase : IAsyncDisposable
{
    private const int Busy = 5;
    private const int Corrupt = 11;
    private const int DiskFull = 13;
    private const int NotADatabase = 26;

    /// <summary>How long a server that is just ending may still hold the file, in seconds.</summary>
    private const int PatienceWithPredecessor = 1;

    private readonly SqliteConnection _connection;
    private readonly SemaphoreSlim _lane = new(1, 1);

    private SqliteDatabase(SqliteConnection connection) => _connection = connection;

    /// <summary>Counts each visit.</summary>
    public StoreMetrics Metrics { get; } = new();

    /// <summary>Opens or creates the file and brings its schema up to date.</summary>
    /// <exception cref="StoreException">It cannot be opened, or its schema is not one that this version knows.</exception>
    public static SqliteDatabase Open(string path, TimeProvider time)
    {
        CreatePrivate(path);
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = PatienceWithPredecessor }.ToString());
        try
        {
            connection.Open();
            Execute(connection, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
            SqliteSchema.Upgrade(connection, time);
            return new SqliteDatabase(connection);
        }
        catch (SqliteException e)
        {
            connection.Dispose();
            throw Explain(path, e);
        }
        catch (StoreException)
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Runs the work alone, in one transaction that is committed when it returns.</summary>
    public async Task<T> RunAsync<T>(Func<SqliteConnection, SqliteTransaction, T> work, CancellationToken cancellationToken)
    {
        await _lane.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            using var transaction = _connection.BeginTransaction(deferred: false);
            var before = raw.sqlite3_total_changes(_connection.Handle);
            var result = work(_connection, transaction);
            transaction.Commit();
            Metrics.Visited(hasWritten: raw.sqlite3_total_changes(_connection.Handle) != before);
            return result;
        }
        catch (SqliteException e)
        {
            throw Explain(_connection.DataSource, e);
        }
        finally
        {
            _lane.Release();
        }
    }

    public Task RunAsync(Action<SqliteConnection, SqliteTransaction> work, CancellationToken cancellationToken) =>
        RunAsync<object?>(
            (connection, transaction) =>
            {
                work(connection, transaction);
                return null;
            },
            cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _lane.WaitAsync().ConfigureAwait(false);
        await _connection.DisposeAsync().ConfigureAwait(false);
        _lane.Dispose();
        Metrics.Dispose();
    }

    // The journal beside it takes the mode of the file itself, so that must be private from the first moment.
    private static void CreatePrivate(string path)
    {
        try
        {
            using var file = new FileStream(
                path, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoreException(StoreProblem.Unavailable, $"store {path}: {e.Message}", e);
        }
    }

    internal static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static StoreException Explain(string path, SqliteException e) => e.SqliteErrorCode switch
    {
        DiskFull => new StoreException(StoreProblem.Full, $"store {path}: the disk is full; nothing was changed; free some space and try again", e),
        Corrupt or NotADatabase => new StoreException(StoreProblem.Damaged, $"store {path} is damaged, or is no store of signet's", e),
        Busy => new StoreException(StoreProblem.Unavailable, $"store {path} is in use by another process; one server at a time", e),
        _ => new StoreException(StoreProblem.Unavailable, $"store {path}: {e.Message}", e),
    };
}
