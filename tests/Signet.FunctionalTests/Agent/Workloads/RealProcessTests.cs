using System.Diagnostics;
using System.Security.Cryptography;
using Signet.Agent.Attestation.Workload;
using Signet.Hosting;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>What the kernel really shows of a process whose program was replaced, removed or left for another.</summary>
public sealed class RealProcessTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly List<Process> _started = [];

    public RealProcessTests() => File.Copy("/bin/sleep", App);

    private string App => _folder.File("app");

    [Fact]
    public async Task A_program_is_what_runs_and_not_what_lies_under_its_name_now()
    {
        var digest = Digest(App);
        var process = Start(App, "1000");
        await HasPathAsync(process, App);
        File.Delete(App);
        await HoldsAsync(process, App, digest);
        await File.WriteAllTextAsync(App, "something else");
        await HoldsAsync(process, App, digest);
    }

    [Fact]
    public async Task After_an_exec_the_new_program_counts()
    {
        var process = Start("/bin/sh", "-c", $"read line; exec {App} 1000");
        Assert.DoesNotContain(Paths(await AttestAsync(process)), path => path == App);
        await process.StandardInput.WriteLineAsync("go");
        await process.StandardInput.FlushAsync();
        await HasPathAsync(process, App);
        await HoldsAsync(process, App, Digest(App));
    }

    [Fact]
    public async Task A_process_that_has_ended_has_no_facts()
    {
        var process = Start(App, "1000");
        process.Kill();
        await process.WaitForExitAsync();
        Assert.False((await AttestAsync(process)).IsAttested);
    }

    public void Dispose()
    {
        foreach (var process in _started)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }

        _folder.Dispose();
    }

    private async Task HoldsAsync(Process process, string path, string digest)
    {
        var verdict = await AttestAsync(process);
        Assert.Equal("", verdict.Problem);
        Assert.Contains(new("unix", $"path:{path}"), verdict.Selectors);
        Assert.Contains(new("unix", $"sha256:{digest}"), verdict.Selectors);
    }

    private static Task HasPathAsync(Process process, string path) => Eventually.IsTrueAsync(async () => Paths(await AttestAsync(process)).Contains(path), "the program");

    private static IEnumerable<string> Paths(WorkloadVerdict verdict) =>
        verdict.Selectors.Where(selector => selector.Value.StartsWith("path:", StringComparison.Ordinal)).Select(selector => selector.Value["path:".Length..]);

    private static async Task<WorkloadVerdict> AttestAsync(Process process)
    {
        using var attestor = new UnixAttestor(new ProcFolder(), new AccountNames("/etc/passwd"), new AccountNames("/etc/group"), () => true);
        return await attestor.AttestAsync(new WorkloadProcess(process.Id, NativeUser.EffectiveId(), OwnGroup(), () => true), CancellationToken.None);
    }

    private static uint OwnGroup() => uint.Parse(File.ReadLines("/proc/self/status").Single(line => line.StartsWith("Gid:", StringComparison.Ordinal)).Split('\t')[2], System.Globalization.CultureInfo.InvariantCulture);

    private Process Start(string program, params string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true })!;
        _started.Add(process);
        return process;
    }

    private static string Digest(string path) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));
}
