using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Authority.Rotation;
using Signet.CrashingServer;
using Signet.Identity.Rotation;
using Signet.Server;
using Signet.Server.Storage.Sqlite;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

/// <summary>
/// An authority in a process of its own, ended without warning at every single step of what it does: after each key that was made or deleted, with each
/// write to the store whole but not committed, and after each commit. What kill -9 leaves is what the disk holds at that moment: one process is held at
/// each step while its folder is copied, and one is really killed at the last step; in the soak, at every step.
/// </summary>
public sealed class CrashStepTests : IDisposable
{
    private const int AtOnce = 2;

    private readonly TestFolder _folder = new();
    private readonly ConcurrentDictionary<string, string> _signed = new(StringComparer.Ordinal);
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    private static readonly string[] JournalWrite = ["journal half-written", "journal written"];

    public void Dispose() => _folder.Dispose();

    /// <summary>What is done, its steps in order, and the authorities there are once it is over.</summary>
    public static TheoryData<string, string[], string> Acts => new()
    {
        {
            "first start",
            [
                "anchor key made", .. JournalWrite, "issuing key made", .. JournalWrite, .. JournalWrite, "jwt key made", .. JournalWrite, .. JournalWrite, .. JournalWrite,
            ],
            "anchor active, issuing active, jwt active"
        },
        { "first start below another authority", ["issuing key imported", .. JournalWrite, "jwt key made", .. JournalWrite, .. JournalWrite, .. JournalWrite], "" },
        { "prepare", ["issuing key made", .. JournalWrite], "anchor active, issuing active, issuing prepared, jwt active" },
        { "prepare once more", ["issuing key made", .. JournalWrite, "issuing key deleted"], "anchor active, issuing active, issuing prepared, jwt active" },
        { "prepare a JWT key", ["jwt key made", .. JournalWrite], "anchor active, issuing active, jwt active, jwt prepared" },
        { "activate", JournalWrite, "anchor active, issuing active, issuing old, jwt active" },
        { "activate a JWT key", JournalWrite, "anchor active, issuing active, jwt active, jwt old" },
        { "taint", JournalWrite, "anchor active, issuing active, issuing tainted, jwt active" },
        { "revoke", [.. JournalWrite, "issuing key deleted"], "anchor active, issuing active, issuing revoked, jwt active" },
        { "revoke a JWT key", [.. JournalWrite, "jwt key deleted"], "anchor active, issuing active, jwt active" },
        { "announce an anchor", ["anchor key made", .. JournalWrite], "anchor active, anchor prepared, issuing active, jwt active" },
        { "switch to it", ["issuing key made", .. JournalWrite], "anchor active, anchor old, issuing active, issuing old, jwt active" },
        { "drop the old anchor", [.. JournalWrite, "a key deleted", "a key deleted"], "anchor active, issuing active, jwt active" },
        { "give the new anchor up", [.. JournalWrite, "anchor key deleted"], "anchor active, issuing active, jwt active" },
        { "sign", ["log half-written", "log written"], "anchor active, issuing active, jwt active" },
        { "sign an authority below", ["log half-written", "log written"], "anchor active, issuing active, jwt active" },
        { "apply", ["entries half-written", "entries written"], "anchor active, issuing active, jwt active" },
    };

    [Theory]
    [MemberData(nameof(Acts))]
    public async Task Killed_at_any_step_nothing_is_lost_nothing_is_signed_twice_and_the_next_start_goes_on(string name, string[] steps, string shape)
    {
        var (act, before) = (Act.All[name], await PrepareAsync(name));
        var whole = Copy(before, "whole");
        var left = new List<(string Folder, string Step, string Content)>();
        var undisturbed = await RunAsync(whole, name, "held", step => left.Add((Copy(whole, $"{left.Count + 1}"), step.Name, step.Content)));
        Assert.Equal(steps.Select(Unordered), undisturbed.Select(step => Unordered(step.Name)));
        await KillAsync(name, before, steps.Length, act, shape);
        await Parallel.ForEachAsync(left, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = _patience }, async (one, _) =>
        {
            await LookAsync(one.Folder, one.Content, $"{name}, held at {one.Step}");
            await GoOnAsync(one.Folder, act, shape);
        });
    }

    [Theory(Explicit = true)]
    [Trait("Category", "Soak")]
    [MemberData(nameof(Acts))]
    public async Task Really_killed_at_every_step_it_is_the_same(string name, string[] steps, string shape)
    {
        var (act, before) = (Act.All[name], await PrepareAsync(name));
        await Parallel.ForEachAsync(
            Enumerable.Range(1, steps.Length),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = _patience },
            async (number, _) => await KillAsync(name, before, number, act, shape));
    }

    /// <summary>A folder in which the act has been done up to its beginning.</summary>
    private async Task<string> PrepareAsync(string name)
    {
        var (act, before) = (Act.All[name], _folder.File("before"));
        CreatePrivate(before);
        if (act.Given is { } given)
        {
            await using var story = await OpenAsync(before, act);
            await given(story);
        }

        return before;
    }

    private async Task KillAsync(string name, string before, int number, Act act, string shape)
    {
        var folder = Copy(before, $"killed-{number}");
        var last = (await RunAsync(folder, name, number.ToString(CultureInfo.InvariantCulture)))[^1];
        await LookAsync(folder, last.Content, $"{name}, killed at step {number}: {last.Name}");
        await GoOnAsync(folder, act, shape);
    }

    /// <summary>The store is whole and holds what was written, and every key is there that something needs.</summary>
    private static async Task LookAsync(string folder, string expected, string where)
    {
        await using var database = SqliteDatabase.Open(Path.Combine(folder, "signet.db"), TimeProvider.System);
        Assert.Equal(["ok"], await database.RunAsync((connection, transaction) => connection.Query(transaction, "PRAGMA integrity_check", row => row.GetString(0)), CancellationToken.None));
        var content = await StoreContent.ReadAsync(database);
        Assert.True(expected == content.ToString(), $"{where}\n  expected {expected}\n  found    {content}");
        Assert.True(content.Ledger.Records.GroupBy(record => record.Tier).All(tier => tier.Count(record => record.State == SlotState.Active) <= 1), where);
        var keys = KeysIn(folder);
        Assert.True(content.Ledger.Records.All(record => record.KeyName.Length == 0 || record.State == SlotState.Revoked || keys.Contains(record.KeyName)), where);
    }

    /// <summary>A server starts on what is left, the act is done to its end, and of what is gone no key is left.</summary>
    private async Task GoOnAsync(string folder, Act act, string shape)
    {
        if (!act.IsExternal)
        {
            await using var server = await ServerHost.BuildAsync(ConfigFor(folder), TimeProvider.System, () => 0.5, NullLoggerFactory.Instance, _patience);
        }

        await using (var story = await OpenAsync(folder, act))
        {
            await act.Do(story);
            await story.SignAsync();
        }

        await using var database = SqliteDatabase.Open(Path.Combine(folder, "signet.db"), TimeProvider.System);
        var content = await StoreContent.ReadAsync(database);
        Assert.Equal(shape, act.IsExternal ? "" : content.Shape);
        Assert.Empty(content.Ledger.DoomedKeys.Intersect(KeysIn(folder)));
        Assert.DoesNotContain(content.Ledger.Records, record => record.State == SlotState.Revoked && KeysIn(folder).Contains(record.KeyName));
    }

    /// <summary>Runs the act in a process of its own, and looks at it at each step when it is held there.</summary>
    private async Task<IReadOnlyList<(string Name, string Content)>> RunAsync(string folder, string act, string stopAt, Action<(string Name, string Content)>? look = null)
    {
        using var process = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Signet.CrashingServer"), [folder, act, stopAt])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var problems = process.StandardError.ReadToEndAsync(_patience);
        var steps = new List<(string Name, string Content)>();
        while (await process.StandardOutput.ReadLineAsync(_patience) is { } line)
        {
            var parts = line.Split('|');
            if (parts[0] == "signed")
            {
                NoteSigned(parts[1], folder);
                continue;
            }

            steps.Add((parts[0], parts[1]));
            if (look is not null)
            {
                look(steps[^1]);
                await process.StandardInput.WriteLineAsync("go on");
            }
        }

        await process.WaitForExitAsync(_patience);
        Assert.True(process.ExitCode == (look is null ? 128 + 9 : 0), $"{act} at {stopAt}: exit code {process.ExitCode}; {await problems}");
        return steps;
    }

    private Task<Story> OpenAsync(string folder, Act act) => Story.OpenAsync(folder, act.IsExternal, (_, _) => { }, serial => NoteSigned(serial, folder));

    private void NoteSigned(string? serial, string folder) => Assert.True(serial is null || _signed.TryAdd(serial, folder), $"the serial number {serial} was signed twice");

    private static ServerConfig ConfigFor(string folder) => new()
    {
        TrustDomain = Story.TrustDomain,
        Listen = new IPEndPoint(IPAddress.Loopback, 0),
        AdminSocket = Path.Combine(folder, "server.sock"),
        Metrics = new IPEndPoint(IPAddress.Loopback, 0),
        DataDir = folder,
        StorePath = Path.Combine(folder, "signet.db"),
        X509Ttl = TimeSpan.FromHours(1),
        JwtTtl = TimeSpan.FromMinutes(5),
        Authority = new AuthorityPlan { TrustDomain = Story.TrustDomain },
    };

    private static HashSet<string> KeysIn(string folder) =>
        [.. Directory.EnumerateFiles(Path.Combine(folder, "keys"), "*.pem").Select(file => Path.GetFileNameWithoutExtension(file)!)];

    // Which of several doomed keys goes first is nobody's business.
    private static string Unordered(string step) => step.EndsWith("key deleted", StringComparison.Ordinal) ? "a key deleted" : step;

    private string Copy(string folder, string name)
    {
        var copy = _folder.File(name);
        CreatePrivate(copy);
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(copy, Path.GetRelativePath(folder, file));
            CreatePrivate(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return copy;
    }

    private static void CreatePrivate(string folder) => Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
}
