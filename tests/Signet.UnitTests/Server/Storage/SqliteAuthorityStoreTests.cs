using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Storage;
using Signet.Server.Storage.Sqlite;
using Signet.Testing;

namespace Signet.UnitTests.Server.Storage;

public sealed class SqliteAuthorityStoreTests : IDisposable
{
    private static readonly AuthorityPlan Plan = new() { TrustDomain = TrustDomain.Parse("example.org") };

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero).AddMilliseconds(123));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Every_tier_is_read_as_it_was_saved()
    {
        IReadOnlyList<AuthorityRecord> made;
        await using (var database = Open())
        {
            var rotation = await AuthorityRotation.ResumeAsync(Plan, new MemoryKeyManager(), new SqliteAuthorityStore(database), _time, CancellationToken.None);
            made = [.. rotation.Current.Records];
        }

        await using var again = Open();
        Assert.Equal(made, await new SqliteAuthorityStore(again).LoadAsync(CancellationToken.None));
        Assert.Equal([AuthorityTier.Anchor, AuthorityTier.Issuing, AuthorityTier.Jwt], made.Select(record => record.Tier));
    }

    [Fact]
    public async Task A_store_from_before_there_were_JWT_keys_keeps_its_authorities_and_gets_one()
    {
        var anchor = Certificate.Parse(TestAuthorityDer());
        MakeFirstVersion(anchor);

        await using var database = Open();
        var store = new SqliteAuthorityStore(database);
        Assert.Equal(new X509AuthorityRecord("a1", AuthorityTier.Anchor, AuthorityState.Active, anchor, "k1"), Assert.Single(await store.LoadAsync(CancellationToken.None)));

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.True(JwtAuthority.TryCreate("j1", key.ExportSubjectPublicKeyInfo(), _time.GetUtcNow().AddHours(1), out var authority, out var problem), problem);
        await store.SaveAsync([new JwtAuthorityRecord(AuthorityState.Active, authority, _time.GetUtcNow(), "k2")], CancellationToken.None);
        Assert.Equal(["a1", "j1"], (await store.LoadAsync(CancellationToken.None)).Select(record => record.Id));
    }

    [Fact]
    public async Task A_JWT_key_that_is_none_stops_the_server()
    {
        await using (var database = Open())
        {
            await database.RunAsync(
                (connection, transaction) => connection.Execute(
                    transaction, "INSERT INTO authorities (id, tier, state, public_key, not_before, not_after, key_name) VALUES ('j', 'jwt', 'active', x'00', 0, 0, 'k')"),
                CancellationToken.None);
        }

        await using var again = Open();
        Assert.Contains("not a public key", (await Assert.ThrowsAsync<StoreException>(() => new SqliteAuthorityStore(again).LoadAsync(CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    private SqliteDatabase Open() => SqliteDatabase.Open(_folder.File("signet.db"), _time);

    private byte[] TestAuthorityDer() => new TestAuthority(_time.GetUtcNow()).Bundle.Authorities[0].Der.ToArray();

    private void MakeFirstVersion(Certificate anchor)
    {
        using var stream = new StreamReader(typeof(SqliteDatabase).Assembly.GetManifestResourceStream("Signet.Server.Storage.Sqlite.Schema.0001_foundation.sql")!);
        var sql = stream.ReadToEnd();
        using var connection = new SqliteConnection($"Data Source={_folder.File("signet.db")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql + """
            ;
            CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT;
            INSERT INTO schema_migrations VALUES (1, '0001_foundation.sql', $sha256, 0);
            INSERT INTO authorities (id, tier, state, certificate, key_name) VALUES ('a1', 'anchor', 'active', $certificate, 'k1');
            """;
        command.Parameters.AddWithValue("$sha256", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql))));
        command.Parameters.AddWithValue("$certificate", anchor.Der.ToArray());
        command.ExecuteNonQuery();
    }
}
