using Grpc.Core;
using Microsoft.Data.Sqlite;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Authority;
using Signet.Testing;
using Stage = Signet.Rpc.Wire.Authority.RotationStatus.Types.Stage;

namespace Signet.FunctionalTests.Server;

/// <summary>A server in a process of its own, killed without warning while it signs and while its authorities turn.</summary>
public sealed class CrashTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(10)).Token;
    private readonly HashSet<string> _received = new(StringComparer.Ordinal);
    private int _rotated;
    private ulong _sequence;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public Task Killed_three_times_a_server_loses_nothing_signs_nothing_twice_and_finishes_its_rotations() => SurviveAsync(kills: 3);

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public Task Killed_again_and_again_a_server_loses_nothing_signs_nothing_twice_and_finishes_its_rotations() => SurviveAsync(kills: 20);

    private async Task SurviveAsync(int kills)
    {
        await File.WriteAllTextAsync(
            _folder.File("server.yaml"),
            $$"""
            trustDomain: example.org
            listen: 127.0.0.1:0
            metrics: 127.0.0.1:0
            adminSocket: {{_folder.File("server.sock")}}
            dataDir: {{_folder.File("server")}}
            ca: {ttl: 20s, anchorTtl: 1h}
            svid: {x509Ttl: 5s}
            """,
            _patience);
        var moments = new Random(20301);
        for (var kill = 0; kill < kills; kill++)
        {
            await using var server = await StartAsync(kill);
            var work = WorkAsync(until: () => false, new Random(kill));
            await Task.WhenAny(work, Task.Delay(TimeSpan.FromMilliseconds(moments.Next(200, 5000)), _patience));
            using var process = System.Diagnostics.Process.GetProcessById(server.Pid);
            process.Kill();
            await process.WaitForExitAsync(_patience);
            Assert.NotEqual(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(() => work)).StatusCode);
        }

        await using (var server = await StartAsync(kills))
        {
            var before = _rotated;
            await WorkAsync(until: () => _rotated > before, new Random(kills));
            Assert.True(await server.StopAsync(), "it ends by itself");
        }

        await using var store = new SqliteConnection($"Data Source={_folder.File("server/signet.db")};Pooling=False");
        await store.OpenAsync(_patience);
        Assert.Equal(["ok"], Query(store, "PRAGMA integrity_check"));
        Assert.Equal(["anchor 1", "issuing 1", "jwt 1"], Query(store, "SELECT tier || ' ' || COUNT(*) FROM authorities WHERE state = 'active' GROUP BY tier ORDER BY tier"));
        Assert.Empty(Query(store, "SELECT key_name FROM authorities WHERE state <> 'revoked'").Except(Directory.EnumerateFiles(_folder.File("server/keys")).Select(Path.GetFileNameWithoutExtension)));
        Assert.NotEmpty(_received);
        Assert.Empty(_received.Except(Query(store, "SELECT serial FROM issued_certificates")));
    }

    /// <summary>Signs all the time, begins a rotation whenever none is under way, and turns authorities by hand now and then.</summary>
    private async Task WorkAsync(Func<bool> until, Random chance)
    {
        using var admin = new AdminClient(_folder.File("server.sock"), TimeProvider.System);
        using var operators = new AdminClient(_folder.File("server.sock"), TimeProvider.System);
        var client = operators.Authorities;
        var last = Stage.None;
        while (!until())
        {
            var svid = await admin.MintAsync(SpiffeId.Parse("spiffe://example.org/tool"), TimeSpan.FromSeconds(5), [], _patience);
            Assert.True(_received.Add(svid.Leaf.SerialHex), "no serial number twice");
            var status = await client.StatusAsync(_patience);
            Assert.True(status.BundleSequence >= _sequence, "the bundle's number never falls");
            _sequence = status.BundleSequence;
            _rotated += status.Stage == Stage.Done && last == Stage.Replacing ? 1 : 0;
            last = status.Stage;
            if (status.Stage is Stage.None or Stage.Done)
            {
                await client.StartAsync(dryRun: false, _patience);
            }
            else if (chance.Next(10) == 0)
            {
                await TurnByHandAsync(client, jwt: chance.Next(2) == 0);
            }
        }
    }

    private async Task TurnByHandAsync(AuthorityClient client, bool jwt)
    {
        var next = await client.PrepareAsync(jwt, _patience);
        try
        {
            await client.ActivateAsync(jwt, next.AuthorityId, _patience);
            var old = (await client.ListAsync(_patience)).Last(authority => authority.Tier == (jwt ? "jwt" : "issuing") && authority.State == "old");
            await client.TaintAsync(jwt, old.Id, _patience);
            await client.RevokeAsync(jwt, old.Id, _patience);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.FailedPrecondition)
        {
            // The rotation of the anchor got in between, and what was prepared is gone.
        }
    }

    private async Task<DemoProcess> StartAsync(int number)
    {
        var server = DemoProcess.Start("server", DemoLayout.OwnProgram, ["server", "run", "--config", _folder.File("server.yaml")], _folder.File($"server-{number}.log"));
        using var operators = new AdminClient(_folder.File("server.sock"), TimeProvider.System);
        var client = operators.Authorities;
        await Eventually.IsTrueAsync(
            async () =>
            {
                Assert.False(server.HasExited, $"the server came up after kill {number}: {await ReadAsync(server.LogFile)}");
                try
                {
                    return await client.StatusAsync(_patience) is not null;
                }
                catch (RpcException)
                {
                    return false;
                }
            },
            "the server's socket");
        return server;
    }

    private static async Task<string> ReadAsync(string file)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return await reader.ReadToEndAsync();
    }

    private static List<string> Query(SqliteConnection store, string sql)
    {
        using var command = store.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read())
        {
            rows.Add(reader.GetString(0));
        }

        return rows;
    }
}
