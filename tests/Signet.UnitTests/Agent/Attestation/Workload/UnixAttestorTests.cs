using System.Security.Cryptography;
using Signet.Agent.Attestation.Workload;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Attestation;

public sealed class UnixAttestorTests : IDisposable
{
    private const int Pid = 4711;
    private static readonly HashSet<string> Nothing = [];

    private readonly TestFolder _folder = new();

    public UnixAttestorTests()
    {
        Directory.CreateDirectory(_folder.File($"proc/{Pid}"));
        File.WriteAllText(_folder.File("program"), "the program");
        File.CreateSymbolicLink(_folder.File($"proc/{Pid}/exe"), _folder.File("program"));
        File.WriteAllText(_folder.File($"proc/{Pid}/status"), "Name:\tprogram\nGroups:\t4 27 1000 \n");
        File.WriteAllText(_folder.File("passwd"), "root:x:0:0::/:/bin/sh\nmary:x:1000:100::/:/bin/sh\n");
        File.WriteAllText(_folder.File("group"), "root:x:0:\nusers:x:100:\n");
    }

    [Fact]
    public void User_groups_names_and_path_become_selectors() => Assert.Equal(
        [
            "unix:gid:100", "unix:group:users", $"unix:path:{_folder.File("program")}", "unix:supplementary_gid:1000", "unix:supplementary_gid:27",
            "unix:supplementary_gid:4", "unix:uid:1000", "unix:user:mary",
        ],
        Selectors(Attest(Nothing)));

    [Fact]
    public void The_digest_is_computed_only_when_an_entry_asks_for_it()
    {
        var expected = $"unix:sha256:{Convert.ToHexStringLower(SHA256.HashData("the program"u8))}";
        Assert.DoesNotContain(expected, Selectors(Attest(Nothing)));
        Assert.Contains(expected, Selectors(Attest(new HashSet<string> { "sha256" })));
    }

    [Fact]
    public void A_number_without_a_name_has_no_name_selector()
    {
        var verdict = Attestor().Attest(Pid, 5000, 5000, Nothing);
        Assert.True(verdict.IsAttested);
        Assert.DoesNotContain(Selectors(verdict), text => text.StartsWith("unix:user:", StringComparison.Ordinal) || text.StartsWith("unix:group:", StringComparison.Ordinal));
    }

    [Fact]
    public void A_process_that_is_gone_is_not_attested()
    {
        var verdict = Attestor().Attest(Pid + 1, 1000, 100, Nothing);
        Assert.False(verdict.IsAttested);
        Assert.Contains("cannot be read", verdict.Problem);
    }

    public void Dispose() => _folder.Dispose();

    private WorkloadVerdict Attest(IReadOnlySet<string> wanted) => Attestor().Attest(Pid, 1000, 100, wanted);

    private UnixAttestor Attestor() => new(_folder.File("proc"), _folder.File("passwd"), _folder.File("group"));

    private static IEnumerable<string> Selectors(WorkloadVerdict verdict) => verdict.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal);
}
