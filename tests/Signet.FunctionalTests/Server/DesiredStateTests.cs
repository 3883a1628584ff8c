using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.Server.Registration.Desired;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

/// <summary>Entries as files say, through the command line and from a folder that the server watches.</summary>
public sealed class DesiredStateTests
{
    private static readonly CliContext Context = new(TimeProvider.System, () => 0.5);
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task Applying_twice_changes_nothing_the_second_time_and_diff_says_so()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using var folder = new TestFolder();
        await WriteAsync(folder, domain, "/web", "/db");
        var (exit, output, _) = await RunAsync(domain, "diff", folder.Path);
        Assert.Equal((1, true), (exit, output.Contains("2 to create", StringComparison.Ordinal)));
        (exit, output, _) = await RunAsync(domain, "apply", folder.Path);
        Assert.Equal((0, true), (exit, output.Contains("2 created, 0 updated, 0 deleted", StringComparison.Ordinal)));
        (exit, output, _) = await RunAsync(domain, "apply", folder.Path);
        Assert.Equal((0, "nothing differs\n"), (exit, output));
        (exit, output, _) = await RunAsync(domain, "diff", folder.Path);
        Assert.Equal((0, "nothing differs\n"), (exit, output));
        Assert.Equal(["/db", "/web"], await PathsAsync(domain));
    }

    [Fact]
    public async Task Only_entries_of_the_same_owner_are_changed_or_deleted()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using var folder = new TestFolder();
        await domain.RegisterAsync("/by-hand");
        await WriteAsync(folder, domain, "/web", "/by-hand");
        await RunAsync(domain, "apply", folder.Path, "--owner", "team-a");
        using var other = new TestFolder();
        await WriteAsync(other, domain, "/db");
        await RunAsync(domain, "apply", other.Path, "--owner", "team-b");
        Assert.Equal(["/by-hand", "/db", "/web"], await PathsAsync(domain));

        await WriteAsync(folder, domain);
        var (exit, output, _) = await RunAsync(domain, "apply", folder.Path, "--owner", "team-a", "--output", "json");
        Assert.Equal((0, "delete"), (exit, $"{Assert.Single(JsonNode.Parse(output)!["changes"]!.AsArray())!["step"]}"));
        Assert.Equal(["/by-hand", "/db"], await PathsAsync(domain));
    }

    [Fact]
    public async Task One_entry_that_does_not_hold_stops_all_of_them()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using var folder = new TestFolder();
        await File.WriteAllTextAsync(folder.File("a.yaml"), $"entries:\n- {{spiffeId: spiffe://example.org/web, parentId: {domain.AgentId}, selectors: [unix:uid:1]}}\n- {{spiffeId: spiffe://example.org/db, parentId: {domain.AgentId}, selectors: [unix:uuid:1]}}\n", _patience);
        var (exit, _, error) = await RunAsync(domain, "apply", folder.Path);
        Assert.Equal(1, exit);
        Assert.Contains("unix has no key \"uuid\"; did you mean \"uid\"?", error, StringComparison.Ordinal);
        Assert.Empty(await PathsAsync(domain));
    }

    [Fact]
    public async Task Deleting_most_of_the_entries_needs_to_be_said()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using var folder = new TestFolder();
        await WriteAsync(folder, domain, [.. Enumerable.Range(0, 12).Select(i => $"/s{i}")]);
        await RunAsync(domain, "apply", folder.Path);
        await WriteAsync(folder, domain, "/s0");
        var (exit, _, error) = await RunAsync(domain, "apply", folder.Path);
        Assert.Equal((1, true), (exit, error.Contains("11 of apply's entries would be deleted", StringComparison.Ordinal)));
        Assert.Equal(12, (await PathsAsync(domain)).Length);
        (exit, _, _) = await RunAsync(domain, "apply", folder.Path, "--delete-most");
        Assert.Equal((0, 1), (exit, (await PathsAsync(domain)).Length));
    }

    [Fact]
    public async Task A_folder_is_followed_and_what_was_changed_by_hand_is_put_back()
    {
        using var folder = new TestFolder();
        await File.WriteAllTextAsync(folder.File("entries.yaml"), "entries: []\n", _patience);
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { DesiredFolder = new DesiredFolderConfig(folder.Path, DesiredScope.DefaultCluster, MayDeleteMost: false) });
        await WriteAsync(folder, domain, "/web", "/db");
        await Eventually.IsTrueAsync(async () => (await PathsAsync(domain)).SequenceEqual(["/db", "/web"]), "both entries");

        // Deleted by hand: it comes back, under a new ID.
        using var admin = domain.Admin();
        var web = (await admin.EntriesAsync(null, null, _patience)).Single(entry => entry.SpiffeId.Path == "/web");
        await admin.DeleteEntryAsync(web.Id, _patience);
        await Eventually.IsTrueAsync(async () => (await PathsAsync(domain)).SequenceEqual(["/db", "/web"]), "the deleted entry again");

        // A file that does not hold changes nothing; the next good one does.
        await File.WriteAllTextAsync(folder.File("entries.yaml"), "entries: [{", _patience);
        await domain.RegisterAsync("/by-hand");
        Assert.Equal(["/by-hand", "/db", "/web"], await PathsAsync(domain));
        await WriteAsync(folder, domain, "/db");
        await Eventually.IsTrueAsync(async () => (await PathsAsync(domain)).SequenceEqual(["/by-hand", "/db"]), "only what is wanted and what is not the folder's");
    }

    [Fact]
    public async Task A_misspelt_selector_is_refused_with_what_was_probably_meant()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        var (exit, _, error) = await RunAsync(domain, "create", "--spiffe-id", "spiffe://example.org/web", "--parent-id", domain.AgentId.Uri, "--selector", "unx:uid:1");
        Assert.Equal((1, true), (exit, error.Contains("did you mean \"unix\"?", StringComparison.Ordinal)));
    }

    private static async Task WriteAsync(TestFolder folder, TestTrustDomain domain, params string[] paths)
    {
        var lines = paths.Select(path => $"- {{spiffeId: \"spiffe://example.org{path}\", parentId: \"{domain.AgentId}\", selectors: [\"{TestTrustDomain.Myself}\"]}}");
        await File.WriteAllTextAsync(folder.File("entries.new"), paths.Length == 0 ? "entries: []\n" : $"entries:\n{string.Join('\n', lines)}\n");
        File.Move(folder.File("entries.new"), folder.File("entries.yaml"), overwrite: true);
    }

    private async Task<string[]> PathsAsync(TestTrustDomain domain)
    {
        using var admin = domain.Admin();
        return [.. (await admin.EntriesAsync(null, null, _patience)).Select(entry => entry.SpiffeId.Path).Order(StringComparer.Ordinal)];
    }

    private static async Task<(int Exit, string Output, string Error)> RunAsync(TestTrustDomain domain, params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var exit = await EntryCommand.Create(Context).Parse([.. arguments, "--server", domain.ServerSocket]).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }
}
