using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Revocation;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
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
        Assert.Equal(made, (await new SqliteAuthorityStore(again).LoadAsync(CancellationToken.None)).Records);
        Assert.Equal([AuthorityTier.Anchor, AuthorityTier.Issuing, AuthorityTier.Jwt], made.Select(record => record.Tier));
    }

    [Fact]
    public async Task A_file_that_is_no_store_is_called_damaged_and_left_as_it_is()
    {
        var noise = RandomNumberGenerator.GetBytes(9000);
        await File.WriteAllBytesAsync(_folder.File("test.db"), noise);
        Assert.Equal(StoreProblem.Damaged, Assert.Throws<StoreException>(() => SqliteDatabase.Open(_folder.File("test.db"), _time)).Problem);
        Assert.Equal(noise, await File.ReadAllBytesAsync(_folder.File("test.db")));
    }

    [Fact]
    public async Task What_is_revoked_one_by_one_and_keys_that_are_to_go_are_read_as_they_were_saved_and_go_with_their_authority()
    {
        AuthorityLedger before;
        string issuing;
        await using (var database = Open())
        {
            var rotation = await AuthorityRotation.ResumeAsync(Plan, new MemoryKeyManager(), new SqliteAuthorityStore(database), _time, CancellationToken.None);
            issuing = rotation.Current.Issuing.Id;
            await rotation.RevokeAsync([new LiveCertificate("4a01", "spiffe://example.org/web", issuing, _time.GetUtcNow().AddHours(1)), new LiveCertificate("4a02", "spiffe://example.org/web", issuing, _time.GetUtcNow().AddHours(1))], RevocationReason.AffiliationChanged, "uid 0", CancellationToken.None);
            await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
            await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
            before = rotation.Current.Ledger;
            Assert.Equal((2, 1), (before.RevokedCertificates.Count, before.DoomedKeys.Count));
        }

        await using var again = Open();
        var store = new SqliteAuthorityStore(again);
        var after = await store.LoadAsync(CancellationToken.None);
        Assert.Equal(before.RevokedCertificates.Values.OrderBy(one => one.Serial), after.RevokedCertificates.Values.OrderBy(one => one.Serial));
        Assert.Equal(before.DoomedKeys, after.DoomedKeys);

        var change = new AuthorityChange { ForgottenCertificates = ["4a01"], DeletedKeys = [.. after.DoomedKeys] };
        await store.CommitAsync(change, "content", CancellationToken.None);
        var less = await store.LoadAsync(CancellationToken.None);
        Assert.Equal(["4a02"], less.RevokedCertificates.Keys);
        Assert.Empty(less.DoomedKeys);
        await store.CommitAsync(new AuthorityChange { Forgotten = [issuing] }, "other content", CancellationToken.None);
        var gone = await store.LoadAsync(CancellationToken.None);
        Assert.Empty(gone.RevokedCertificates);
        Assert.Single(gone.DoomedKeys);
    }

    [Fact]
    public async Task A_store_from_before_there_were_JWT_keys_keeps_its_authorities_and_gets_one()
    {
        var anchor = Certificate.Parse(TestAuthorityDer());
        MakeFirstVersion(anchor);

        await using var database = Open();
        var store = new SqliteAuthorityStore(database);
        Assert.Equal(new X509AuthorityRecord("a1", AuthorityTier.Anchor, SlotState.Active, anchor, "k1"), Assert.Single((await store.LoadAsync(CancellationToken.None)).Records));

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.True(JwtAuthority.TryCreate("j1", key.ExportSubjectPublicKeyInfo(), _time.GetUtcNow().AddHours(1), out var authority, out var problem), problem);
        var added = new AuthorityChange { Saved = [new JwtAuthorityRecord(AuthorityTier.Jwt, SlotState.Active, authority, _time.GetUtcNow(), "k2")] };
        Assert.Equal(2UL, await store.CommitAsync(added, "first content that is counted", CancellationToken.None));
        Assert.Equal(["a1", "j1"], (await store.LoadAsync(CancellationToken.None)).Records.Select(record => record.Id));
    }

    [Fact]
    public async Task A_change_is_taken_whole_and_counted_only_when_the_content_is_another()
    {
        var anchor = new X509AuthorityRecord("a1", AuthorityTier.Anchor, SlotState.Active, Certificate.Parse(TestAuthorityDer()), "k1");
        var second = new X509AuthorityRecord("a2", AuthorityTier.Anchor, SlotState.Prepared, Certificate.Parse(TestAuthorityDer()), "k2");
        var since = DateTimeOffset.FromUnixTimeMilliseconds(_time.GetUtcNow().ToUnixTimeMilliseconds());
        var rotation = new AnchorRotation("a2", AnchorStage.Replacing, since, "uid 0", since.AddSeconds(1), "drill");
        await using (var database = Open())
        {
            var store = new SqliteAuthorityStore(database);
            Assert.Equal(1UL, await store.CommitAsync(new AuthorityChange { Saved = [anchor] }, "one", CancellationToken.None));
            Assert.Equal(1UL, await store.CommitAsync(AuthorityChange.None, "one", CancellationToken.None));
            Assert.Equal(2UL, await store.CommitAsync(new AuthorityChange { Saved = [second, anchor with { State = SlotState.Tainted }], Rotation = rotation }, "two", CancellationToken.None));
            Assert.Equal(3UL, await store.CommitAsync(AuthorityChange.None, "one", CancellationToken.None));
        }

        using (var key = ECDsa.Create(ECCurve.NamedCurves.nistP256))
        await using (var database = Open())
        {
            var self = CertificateTemplate.Authority(Plan.TrustDomain, key.ExportSubjectPublicKeyInfo(), since, since.AddDays(1), "anchor").SignSelf(key);
            var list = CertificateRevocationList.Sign(self, key, since, since.AddDays(2), 5, [self]);
            var store = new SqliteAuthorityStore(database);
            Assert.Equal(3UL, await store.CommitAsync(new AuthorityChange { List = new AnchorList("a2", list) }, "one", CancellationToken.None));
            Assert.Equal(list.Der.ToArray(), (await store.LoadAsync(CancellationToken.None)).Lists["a2"].Der.ToArray());
        }

        await using var again = Open();
        var resumed = new SqliteAuthorityStore(again);
        var ledger = await resumed.LoadAsync(CancellationToken.None);
        Assert.Equal([anchor with { State = SlotState.Tainted }, second], ledger.Records);
        Assert.Equal(rotation, ledger.Rotation);
        Assert.Equal(3UL, await resumed.CommitAsync(new AuthorityChange { Forgotten = ["a1"] }, "one", CancellationToken.None));
        Assert.Equal([second], (await resumed.LoadAsync(CancellationToken.None)).Records);
        Assert.Single((await resumed.LoadAsync(CancellationToken.None)).Lists);
        await resumed.CommitAsync(new AuthorityChange { Forgotten = ["a2"] }, "none", CancellationToken.None);
        Assert.Empty((await resumed.LoadAsync(CancellationToken.None)).Lists);
    }

    [Fact]
    public async Task Live_certificates_are_counted_by_who_asked_for_them_and_under_the_given_authorities_only()
    {
        await using var database = Open();
        var store = new SqliteAuthorityStore(database);
        using var rotation = await AuthorityRotation.ResumeAsync(Plan, new MemoryKeyManager(), store, _time, CancellationToken.None);
        var issuer = new SvidIssuer(rotation, store, _time);
        var key = KeyPair.ExportPublicKey(KeyPair.Generate(KeyType.EcP256));
        SvidRequest Request(string by, TimeSpan ttl) => new(SpiffeId.Parse("spiffe://example.org/web"), key, ttl, [], by);
        await issuer.IssueAsync([Request("a", TimeSpan.FromHours(1)), Request("a", TimeSpan.FromHours(2)), Request("b", TimeSpan.FromMinutes(1))], CancellationToken.None);
        string[] issuing = [rotation.Current.Issuing.Id];
        var now = _time.GetUtcNow();

        var live = await store.LiveAsync(issuing, now, CancellationToken.None);
        Assert.Equal([("a", 2), ("b", 1)], live.Select(one => (one.RequestedBy, one.Count)));
        Assert.Equal(now.AddHours(2).ToUnixTimeSeconds(), live[0].LastNotAfter.ToUnixTimeSeconds());
        Assert.Equal(["a"], (await store.LiveAsync(issuing, now.AddMinutes(30), CancellationToken.None)).Select(one => one.RequestedBy));
        Assert.Empty(await store.LiveAsync(issuing, now.AddHours(3), CancellationToken.None));
        Assert.Empty(await store.LiveAsync(["another"], now, CancellationToken.None));

        // A newer one of the same authority replaces nothing; nor does one for another caller or another ID.
        Assert.All(live, one => Assert.Null(one.ReplacedAt));
        await rotation.PrepareAsync(AuthorityTier.Issuing, CancellationToken.None);
        await rotation.ActivateAsync(AuthorityTier.Issuing, rotation.Current.Records.Last(record => record is { Tier: AuthorityTier.Issuing, State: SlotState.Prepared }).Id, CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(10));
        await issuer.IssueAsync([Request("c", TimeSpan.FromHours(1)), Request("b", TimeSpan.FromHours(1)) with { SpiffeId = SpiffeId.Parse("spiffe://example.org/other") }], CancellationToken.None);
        Assert.All(await store.LiveAsync(issuing, now, CancellationToken.None), one => Assert.Null(one.ReplacedAt));

        _time.Advance(TimeSpan.FromSeconds(10));
        await issuer.IssueAsync([Request("a", TimeSpan.FromHours(1))], CancellationToken.None);
        live = await store.LiveAsync(issuing, now, CancellationToken.None);
        Assert.Equal([now.AddSeconds(20).ToUnixTimeMilliseconds(), null], live.Select(one => one.ReplacedAt?.ToUnixTimeMilliseconds()));
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
