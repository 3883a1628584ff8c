using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Client;
using Signet.FunctionalTests.Agent;
using Signet.Helper;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.Jose;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.FunctionalTests.Helper;

/// <summary>On virtual time: what waits for minutes in earnest waits for moments here.</summary>
public sealed class HelperTests(VirtualDomain world) : IClassFixture<VirtualDomain>, IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Certificate_key_bundles_and_tokens_are_written_and_renewed_together_and_a_command_is_run_each_time()
    {
        await using var web = await world.RegisterAsync("/web");
        var told = _folder.File("told");
        await using var helper = await StartAsync($"""
            x509: {"{}"}
            jwt: [{"{"}audience: [billing], file: billing.jwt{"}"}]
            bundles: [{"{"}pem: roots.pem, jwks: keys.json{"}"}]
            onChange: {"{"}command: [cp, {Out("svid.pem")}, "{told}"]{"}"}
            """);
        await world.UntilAsync(() => helper.Host.Readiness.IsReady, "the files");

        Assert.True(X509Files.TryRead(Text("svid.pem"), Text("key.pem"), Text("bundle.pem"), out var first, out var problem), problem);
        Assert.Equal("/web", first.Default.Id.Path);
        Assert.Equal(Text("svid.pem"), File.ReadAllText(told));
        Assert.Equal(Text("bundle.pem"), Text("roots.pem"));
        Assert.True(JwtBundle.TryParse(TestTrustDomain.Name, Text("keys.json"), out var keys, out problem), problem);
        Assert.True(JwtSvidVerifier.Verify(Text("billing.jwt"), _ => keys, "billing", world.Time.GetUtcNow()).IsTrusted);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Out("key.pem")));

        world.PassRenewal();
        await world.UntilAsync(() => Text("svid.pem") != Pem.Encode(first.Default.Chain) && Text("svid.pem") == File.ReadAllText(told), "a rotation that was told of");
        Assert.True(X509Files.TryRead(Text("svid.pem"), Text("key.pem"), Text("bundle.pem"), out _, out problem), problem);
    }

    [Fact]
    public async Task The_identity_that_is_named_is_written_and_none_in_its_place()
    {
        await using var web = await world.RegisterAsync("/web");
        await using var absent = await StartAsync("x509: {}\nidentity: {spiffeId: \"spiffe://example.org/second\"}\njwt: [{audience: [a], file: a.jwt}]");
        await world.UntilAsync(() => Reason(absent).Contains("no SVID of spiffe://example.org/second", StringComparison.Ordinal), "the reason");
        Assert.False(File.Exists(Out("svid.pem")));

        await using var second = await world.RegisterAsync("/second");
        await world.UntilAsync(() => absent.Host.Readiness.IsReady, "the files");
        Assert.True(X509Files.TryRead(Text("svid.pem"), Text("key.pem"), Text("bundle.pem"), out var written, out var problem), problem);
        Assert.Equal("/second", written.Default.Id.Path);
        Assert.Equal("/second", (await world.Domain.Client.ValidateJwtAsync("a", Text("a.jwt"), CancellationToken.None)).Id.Path);
    }

    [Fact]
    public async Task Files_stay_when_the_agent_is_gone_and_readiness_says_so()
    {
        await using var web = await world.RegisterAsync("/web");
        await using var helper = await StartAsync("x509: {}");
        await world.UntilAsync(() => helper.Host.Readiness.IsReady, "the files");
        var written = Text("svid.pem");
        await world.Domain.StopAgentAsync();
        await world.UntilAsync(() => !helper.Host.Readiness.IsReady, "the agent's absence");
        Assert.Equal(written, Text("svid.pem"));
        await world.Domain.StartAgentAsync();
        await world.UntilAsync(() => helper.Host.Readiness.IsReady, "the restarted agent");
        Assert.True(X509Files.TryRead(Text("svid.pem"), Text("key.pem"), Text("bundle.pem"), out var after, out var problem), problem);
        Assert.True(Pem.TryReadCertificates(written, out var before, out problem), problem);
        Assert.True(after.Default.Chain[0].NotAfter >= before[0].NotAfter, "older files");
    }

    [Fact]
    public async Task A_command_that_fails_is_run_again_until_it_works()
    {
        await using var web = await world.RegisterAsync("/web");
        var needed = _folder.File("needed");
        await using var helper = await StartAsync($"x509: {{}}\nonChange: {{command: [ls, \"{needed}\"]}}");
        await world.UntilAsync(() => Reason(helper).Contains("exit code", StringComparison.Ordinal), "the failure");
        await File.WriteAllTextAsync(needed, "");
        await world.UntilAsync(() => helper.Host.Readiness.IsReady, "the next try");
    }

    [Fact]
    public async Task A_command_that_hangs_is_killed()
    {
        await using var web = await world.RegisterAsync("/web");
        await using var helper = await StartAsync("x509: {}\nonChange: {command: [sleep, \"1000\"], timeout: 1s}");
        await world.UntilAsync(() => Reason(helper).Contains("did not end within 1s", StringComparison.Ordinal), "the end of its time");
    }

    [Fact]
    public async Task A_signal_reaches_the_process_of_the_pid_file_and_no_process_of_another_user()
    {
        await using var web = await world.RegisterAsync("/web");
        using var sleeper = Process.Start("sleep", "1000");
        try
        {
            var pidFile = _folder.File("pid");
            await File.WriteAllTextAsync(pidFile, $"{sleeper.Id}\n");
            if (Environment.IsPrivilegedProcess)
            {
                // Somebody else's pid file that names a process of root.
                await Process.Start("chown", ["65534", pidFile]).WaitForExitAsync();
                await using var fooled = await StartAsync($"x509: {{}}\nonChange: {{signal: TERM, pidFile: \"{pidFile}\"}}");
                await world.UntilAsync(() => Reason(fooled).Contains("nothing was signalled", StringComparison.Ordinal), "the refusal");
                Assert.False(sleeper.HasExited);
                await Process.Start("chown", ["0", pidFile]).WaitForExitAsync();
            }

            await using var helper = await StartAsync($"x509: {{}}\nonChange: {{signal: TERM, pidFile: \"{pidFile}\"}}");
            await world.UntilAsync(() => sleeper.HasExited, "the signal");
        }
        finally
        {
            sleeper.Kill();
        }
    }

    [Fact]
    public async Task Once_is_once()
    {
        await using var web = await world.RegisterAsync("/web");
        await using var helper = await StartAsync("x509: {}", once: true);
        await world.UntilAsync(() => helper.Host.Done!.IsCompletedSuccessfully, "the end");
        Assert.True(X509Files.TryRead(Text("svid.pem"), Text("key.pem"), Text("bundle.pem"), out _, out var problem), problem);
    }

    private static string Reason(RunningHelper helper) => helper.Host.Readiness.Conditions.Single().State.Reason;

    private string Out(string name) => Path.Combine(_folder.Path, "out", name);

    private string Text(string name) => File.ReadAllText(Out(name));

    private async Task<RunningHelper> StartAsync(string more, bool once = false)
    {
        var config = ConfigDocument.Read(
            _folder.File("helper.yaml"), $"socket: {world.Domain.AgentSocket}\nfolder: out\n{more}", new Dictionary<string, string>(),
            root => HelperConfig.Read(root, Places.TryChoose(_folder.Path, false, null, out var places, out var problem) ? places : throw new InvalidOperationException(problem)));
        var host = HelperHost.Build(config, once, world.Time, Random.Shared.NextDouble, NullLoggerFactory.Instance);
        return new RunningHelper(host, await RunningDaemon.StartAsync(host.Parts, host));
    }

    private sealed record RunningHelper(HelperHost Host, RunningDaemon Daemon) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Daemon.DisposeAsync();
    }
}
