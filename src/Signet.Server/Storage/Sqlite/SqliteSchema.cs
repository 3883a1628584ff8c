using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;

namespace Signet.Server.Storage.Sqlite;

/// <summary>
/// Numbered schema files, embedded, each applied once in its own transaction. A file that was applied with other content, or a number
/// that this version does not have, stops the server before it can harm the data.
/// </summary>
internal static class SqliteSchema
{
    private const string Prefix = "Signet.Server.Storage.Sqlite.Schema.";

    public static void Upgrade(SqliteConnection connection, TimeProvider time)
    {
        SqliteDatabase.Execute(
            connection,
            "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT");
        var applied = Applied(connection);
        var known = Known();
        foreach (var (version, _) in applied.Where(pair => known.All(file => file.Version != pair.Key)))
        {
            throw new StoreException(
                StoreProblem.WrongSchema, $"store {connection.DataSource} has schema version {version}, which this version of signet does not know; run the newer one");
        }

        foreach (var file in known)
        {
            if (!applied.TryGetValue(file.Version, out var digest))
            {
                Apply(connection, file, time);
            }
            else if (digest != file.Sha256)
            {
                throw new StoreException(StoreProblem.WrongSchema, $"store {connection.DataSource}: schema file {file.Name} was applied with other content");
            }
        }
    }

    private static Dictionary<long, string> Applied(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT version, sha256 FROM schema_migrations";
        using var reader = command.ExecuteReader();
        var applied = new Dictionary<long, string>();
        while (reader.Read())
        {
            applied.Add(reader.GetInt64(0), reader.GetString(1));
        }

        return applied;
    }

    private static void Apply(SqliteConnection connection, SchemaFile file, TimeProvider time)
    {
        using var transaction = connection.BeginTransaction();
        using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = file.Sql;
        command.ExecuteNonQuery();
        command.CommandText = "INSERT INTO schema_migrations VALUES ($version, $name, $sha256, $now)";
        command.Parameters.AddWithValue("$version", file.Version);
        command.Parameters.AddWithValue("$name", file.Name);
        command.Parameters.AddWithValue("$sha256", file.Sha256);
        command.Parameters.AddWithValue("$now", time.GetUtcNow().ToUnixTimeMilliseconds());
        command.ExecuteNonQuery();
        transaction.Commit();
    }

    private static SchemaFile[] Known()
    {
        var assembly = typeof(SqliteSchema).Assembly;
        return [.. assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(resource =>
            {
                using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
                var sql = reader.ReadToEnd();
                var name = resource[Prefix.Length..];
                return new SchemaFile(
                    long.Parse(name.AsSpan(0, 4), CultureInfo.InvariantCulture), name, sql, Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(sql))));
            })];
    }

    private sealed record SchemaFile(long Version, string Name, string Sql, string Sha256);
}
