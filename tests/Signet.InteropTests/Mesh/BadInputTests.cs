using System.Diagnostics;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.InteropTests.Mesh;

/// <summary>What goes wrong in real life gets a sentence a person can act on, and the process lives.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public static TheoryData<string, string, string> Configurations => new()
    {
        { "server", "trustDomain: Example.org", "write \"example.org\"" },
        { "server", "trustDomain: example.org\nlisten2: x", "unknown key \"listen2\"" },
        { "server", "trustDomain: example.org\nca: {ttl: soon}", "is not a duration" },
        { "server", "listen: 127.0.0.1:0", "trustDomain" },
        { "agent", "trustDomain: example.org", "server" },
        { "agent", "trustDomain: example.org\nserver: [1]", "a list stands where" },
        { "proxy", "workload: {namespace: a}\npolicy: {folder: /tmp}", "inbound" },
    };

    [Theory]
    [MemberData(nameof(Configurations))]
    public async Task A_configuration_that_is_wrong_is_explained(string role, string yaml, string expected)
    {
        await File.WriteAllTextAsync(_folder.File("bad.yaml"), yaml);
        foreach (var verb in new[] { "check-config", "run" })
        {
            var (exit, output) = await SignetProgram.RunAsync(role, verb, "--config", _folder.File("bad.yaml"));
            Assert.Equal(1, exit);
            Assert.Contains("error: ", output);
            Assert.Contains(expected, output);
            Assert.DoesNotContain("   at ", output);
        }
    }

    [Fact]
    public async Task A_command_line_that_cannot_be_understood_exits_2()
    {
        var (exit, output) = await SignetProgram.RunAsync("entry", "create", "--spiffe-id", "spiffe://Example.org/x", "--parent-id", "spiffe://example.org/p", "--selector", "unix");
        Assert.Equal(2, exit);
        Assert.Contains("upper-case", output);
        Assert.Contains("unix:uid:1000", output);
    }

    [Fact]
    public async Task A_command_without_its_server_says_how_to_start_one()
    {
        var (exit, output) = await SignetProgram.RunAsync("status", "--server", _folder.File("nobody.sock"));
        Assert.Equal(1, exit);
        Assert.Contains("signet server run", output);
    }

    [Fact]
    public async Task A_second_server_on_the_same_socket_says_that_it_is_taken()
    {
        var layout = new DemoLayout(_folder.Path);
        await using var mesh = new DemoMesh(layout, TimeProvider.System);
        await mesh.StartServerAsync(TimeSpan.FromMinutes(5), CancellationToken.None);
        var (exit, output) = await SignetProgram.RunAsync("server", "run", "--config", layout.File("server.yaml"));
        Assert.Equal(1, exit);
        Assert.Matches("is taken by a running process|already in use|in use by another process", output);
    }

    [Fact]
    public async Task A_full_disk_is_named_nothing_is_lost_and_the_server_goes_on_once_there_is_room()
    {
        Assert.True(Environment.IsPrivilegedProcess, "this test mounts a small file system; run it as root");
        var small = _folder.File("small");
        Directory.CreateDirectory(small);
        await MountAsync("-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", small);
        try
        {
            var layout = new DemoLayout(small);
            await using var mesh = new DemoMesh(layout, TimeProvider.System);
            await mesh.StartServerAsync(TimeSpan.FromMinutes(5), CancellationToken.None);
            using var admin = new AdminClient(layout.ServerSocket, TimeProvider.System);
            var kept = await admin.CreateEntryAsync(Entry("kept"), CancellationToken.None);

            var ballast = Path.Combine(small, "ballast");
            FillUp(ballast);
            var refusal = await RefusedAsync(admin);
            Assert.Matches("the disk is full|no space is left on the disk", refusal);

            File.Delete(ballast);
            await admin.CreateEntryAsync(Entry("after"), CancellationToken.None);
            var entries = await admin.EntriesAsync(null, null, CancellationToken.None);
            Assert.Contains(entries, entry => entry.Id == kept.Id);
            Assert.Contains(entries, entry => entry.SpiffeId.Path == "/after");
            Assert.Empty((await admin.Audit.VerifyAsync(null, CancellationToken.None)).Findings);
        }
        finally
        {
            using var umount = Process.Start("umount", small);
            await umount.WaitForExitAsync();
        }
    }

    public void Dispose() => _folder.Dispose();

    // What fits into the journal's last page still succeeds; the first that does not is refused.
    private static async Task<string> RefusedAsync(AdminClient admin)
    {
        for (var i = 0; i < 500; i++)
        {
            try
            {
                await admin.CreateEntryAsync(Entry($"more-{i}"), CancellationToken.None);
            }
            catch (Grpc.Core.RpcException e)
            {
                return e.Status.Detail;
            }
        }

        return "500 entries fitted on a full disk";
    }

    private static void FillUp(string path)
    {
        using var file = new FileStream(path, FileMode.Create);
        var block = new byte[4096];
        try
        {
            while (true)
            {
                file.Write(block);
                file.Flush();
            }
        }
        catch (IOException)
        {
            // Full.
        }
    }

    private static RegistrationEntry Entry(string name) => new()
    {
        Id = "",
        SpiffeId = SpiffeId.Parse($"spiffe://{DemoLayout.TrustDomain}/{name}"),
        ParentId = SpiffeId.Parse($"spiffe://{DemoLayout.TrustDomain}/spire/agent/join_token/x"),
        Selectors = [new Selector("unix", "uid:1")],
    };

    private static async Task MountAsync(params string[] arguments)
    {
        using var mount = Process.Start("mount", arguments);
        await mount.WaitForExitAsync();
        Assert.Equal(0, mount.ExitCode);
    }
}
