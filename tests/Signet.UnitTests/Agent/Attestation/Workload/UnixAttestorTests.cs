using System.Globalization;
using System.Security.Cryptography;
using Signet.Agent.Attestation.Workload;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Attestation.Workload;

public sealed class UnixAttestorTests : IDisposable
{
    private const int Pid = 4711;

    private readonly FakeProc _proc = new();
    private bool _wantsDigest;

    public UnixAttestorTests()
    {
        _proc.AddProcess(Pid);
        File.WriteAllText(_proc.File("passwd"), "root:x:0:0::/:/bin/sh\nmary:x:1000:100::/:/bin/sh\nother:x:1000:1::/:/bin/sh\n");
        File.WriteAllText(_proc.File("group"), "root:x:0:\nusers:x:100:mary\naudio:x:27:\n");
    }

    [Fact]
    public async Task User_groups_names_and_path_become_selectors() => Assert.Equal(
        [
            "unix:gid:100", "unix:group:users", $"unix:path:{_proc.File("program")}", "unix:supplementary_gid:1000", "unix:supplementary_gid:27",
            "unix:supplementary_gid:4", "unix:supplementary_group:audio", "unix:uid:1000", "unix:user:mary",
        ],
        Selectors(await AttestAsync()));

    [Fact]
    public async Task The_digest_is_computed_only_when_an_entry_asks_for_it()
    {
        var expected = $"unix:sha256:{Digest("the program")}";
        Assert.DoesNotContain(expected, Selectors(await AttestAsync()));
        _wantsDigest = true;
        Assert.Contains(expected, Selectors(await AttestAsync()));
    }

    [Fact]
    public async Task A_digest_is_remembered_for_the_file_and_not_for_its_name()
    {
        _wantsDigest = true;
        using var attestor = Attestor();
        Assert.Contains($"unix:sha256:{Digest("the program")}", Selectors(await attestor.AttestAsync(Process(), CancellationToken.None)));
        File.WriteAllText(_proc.File("next"), "another program");
        File.Move(_proc.File("next"), _proc.File("program"), overwrite: true);
        Assert.Contains($"unix:sha256:{Digest("another program")}", Selectors(await attestor.AttestAsync(Process(), CancellationToken.None)));
    }

    [Fact]
    public async Task A_number_without_a_name_has_no_name_selector()
    {
        _proc.WriteStatus(Pid, uid: 5000, gid: 5000);
        var verdict = await AttestAsync(uid: 5000, gid: 5000);
        Assert.True(verdict.IsAttested);
        Assert.DoesNotContain(Selectors(verdict), text => text.StartsWith("unix:user:", StringComparison.Ordinal) || text.StartsWith("unix:group:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_name_that_is_given_later_is_found()
    {
        using var attestor = Attestor();
        Assert.Contains("unix:user:mary", Selectors(await attestor.AttestAsync(Process(), CancellationToken.None)));
        File.WriteAllText(_proc.File("passwd"), "maria:x:1000:100::/:/bin/sh\n");
        Assert.Contains("unix:user:maria", Selectors(await attestor.AttestAsync(Process(), CancellationToken.None)));
    }

    [Fact]
    public async Task A_program_whose_file_was_removed_keeps_the_name_under_which_it_was_started()
    {
        // As the kernel shows it: the link says where the file was and leads to the file that is no longer there.
        File.Move(_proc.File("program"), _proc.File("program (deleted)"));
        File.Delete(_proc.File($"proc/{Pid}/exe"));
        File.CreateSymbolicLink(_proc.File($"proc/{Pid}/exe"), _proc.File("program (deleted)"));
        Assert.Contains($"unix:path:{_proc.File("program")}", Selectors(await AttestAsync()));
    }

    [Fact]
    public async Task In_a_user_namespace_of_its_own_a_process_may_lay_out_folders_as_it_likes_and_gets_no_path()
    {
        File.Delete(_proc.File($"proc/{Pid}/ns/user"));
        File.CreateSymbolicLink(_proc.File($"proc/{Pid}/ns/user"), "user:[2]");
        var verdict = await AttestAsync();
        Assert.True(verdict.IsAttested);
        Assert.DoesNotContain(Selectors(verdict), text => text.StartsWith("unix:path:", StringComparison.Ordinal));
        Assert.Contains(verdict.Notes, note => note.Contains("user namespace of its own", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_process_that_is_gone_is_not_attested()
    {
        var verdict = await Attestor().AttestAsync(Process() with { Pid = Pid + 1 }, CancellationToken.None);
        Assert.False(verdict.IsAttested);
        Assert.Contains("cannot be read", verdict.Problem);
    }

    [Fact]
    public async Task A_process_whose_program_is_hidden_is_not_attested()
    {
        File.Delete(_proc.File($"proc/{Pid}/exe"));
        Assert.Contains("CAP_SYS_PTRACE", (await AttestAsync()).Problem);
    }

    [Theory]
    [InlineData(1001u, 100u)]
    [InlineData(1000u, 101u)]
    public async Task A_process_that_runs_as_somebody_else_than_it_connected_as_is_not_attested(uint uid, uint gid) =>
        Assert.Contains("another user or group", (await AttestAsync(uid, gid)).Problem);

    [Fact]
    public async Task A_process_that_begins_another_program_meanwhile_is_not_attested()
    {
        _wantsDigest = true;
        var attestor = new UnixAttestor(_proc.Proc, new AccountNames(_proc.File("passwd")), new AccountNames(_proc.File("group")), () =>
        {
            File.Delete(_proc.File($"proc/{Pid}/exe"));
            File.WriteAllText(_proc.File("trusted"), "trusted");
            File.CreateSymbolicLink(_proc.File($"proc/{Pid}/exe"), _proc.File("trusted"));
            return true;
        });
        var verdict = await attestor.AttestAsync(Process(), CancellationToken.None);
        Assert.Contains("another program while it was looked at", verdict.Problem);
        Assert.Empty(verdict.Selectors);
    }

    public void Dispose() => _proc.Dispose();

    private Task<WorkloadVerdict> AttestAsync(uint uid = 1000, uint gid = 100) => Attestor().AttestAsync(Process() with { Uid = uid, Gid = gid }, CancellationToken.None);

    private UnixAttestor Attestor() => new(_proc.Proc, new AccountNames(_proc.File("passwd")), new AccountNames(_proc.File("group")), () => _wantsDigest);

    private static WorkloadProcess Process() => new(Pid, 1000, 100, () => true);

    private static string Digest(string text) => Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)));

    private static IEnumerable<string> Selectors(WorkloadVerdict verdict) => verdict.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal);
}

/// <summary>A folder that looks like /proc, of this very process's own pid namespace.</summary>
internal sealed class FakeProc : IDisposable
{
    private readonly TestFolder _folder = new();

    public FakeProc()
    {
        Directory.CreateDirectory(File($"proc/{Environment.ProcessId}/ns"));
        System.IO.File.CreateSymbolicLink(File("proc/self"), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        System.IO.File.CreateSymbolicLink(File($"proc/{Environment.ProcessId}/ns/user"), "user:[1]");
        System.IO.File.WriteAllText(File($"proc/{Environment.ProcessId}/cgroup"), "0::/system.slice/signet-agent.service\n");
        System.IO.File.WriteAllText(File("program"), "the program");
    }

    public ProcFolder Proc => new(File("proc"));

    public string File(string name) => _folder.File(name);

    public void AddProcess(int pid, string cgroup = "0::/user.slice/user-1000.slice/session-3.scope\n")
    {
        Directory.CreateDirectory(File($"proc/{pid}/ns"));
        System.IO.File.CreateSymbolicLink(File($"proc/{pid}/exe"), File("program"));
        System.IO.File.CreateSymbolicLink(File($"proc/{pid}/ns/user"), "user:[1]");
        System.IO.File.WriteAllText(File($"proc/{pid}/cgroup"), cgroup);
        WriteStatus(pid, 1000, 100);
    }

    public void WriteStatus(int pid, uint uid, uint gid) => System.IO.File.WriteAllText(
        File($"proc/{pid}/status"), $"Name:\tprogram\nUid:\t0\t{uid}\t0\t0\nGid:\t0\t{gid}\t0\t0\nGroups:\t4 27 1000 \n");

    public void Dispose() => _folder.Dispose();
}
