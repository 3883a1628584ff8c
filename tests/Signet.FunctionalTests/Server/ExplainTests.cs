using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

/// <summary>Things people get wrong, each explained by one command.</summary>
public sealed class ExplainTests(SharedDomain shared) : IClassFixture<SharedDomain>, IAsyncDisposable
{
    private static readonly CliContext Context = new(TimeProvider.System, () => 0.5);
    private static readonly string Uid = TestTrustDomain.Myself.Value["uid:".Length..];
    private static readonly SpiffeId OtherAgent = ReservedIds.Agent(TestTrustDomain.Name, "join_token", "other");
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    private TestTrustDomain Domain => shared.Domain;

    public ValueTask DisposeAsync() => shared.ForgetEntriesAsync();

    /// <summary>An entry that is not what its author meant, and what the explanation of a process must say of it.</summary>
    public static TheoryData<string, string> Mistakes => new()
    {
        { "unix:uid:4711", $"it demands unix:uid:4711, and the workload has unix:uid:{Uid}" },
        { "unix:path:/opt/app/bin/web", "it demands unix:path:/opt/app/bin/web, and the workload has unix:path:/" },
        { "unix:user:nobody-like-this", "it demands unix:user:nobody-like-this, and the workload has unix:user:" },
        { "unix:supplementary_gid:4711", "it demands unix:supplementary_gid:4711" },
        { "unix:sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "and the workload has unix:sha256:" },
        { "k8s:ns:shop", "nothing of type k8s is known of the workload: is that attestor on at its agent?" },
        { "docker:label:app:web", "nothing of type docker is known of the workload" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task A_selector_that_does_not_hold_is_named_with_what_the_process_has_instead(string selector, string reason)
    {
        Assert.True(Selector.TryParse(selector, out var wrong, out _));
        await Domain.RegisterAsync("/web", TestTrustDomain.Myself, wrong);

        // The agent explains by what it last applied, which may be what the test before left.
        var (exit, output) = (0, "");
        await Eventually.IsTrueAsync(
            async () =>
            {
                (exit, output, _) = await ExplainAsync(Domain, "--pid", OwnPid);
                return output.Contains(reason, StringComparison.Ordinal);
            },
            reason);
        Assert.Equal(1, exit);
        Assert.Contains("it gets no identity", output, StringComparison.Ordinal);
        Assert.Contains("it does not get spiffe://example.org/web", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_identity_that_is_there_is_told_with_its_certificate()
    {
        var entry = await Domain.RegisterAsync("/web");
        JsonNode? told = null;
        await Eventually.IsTrueAsync(
            async () =>
            {
                (var exit, var output, _) = await ExplainAsync(Domain, "--pid", OwnPid, "--output", "json");
                told = JsonNode.Parse(output);
                return exit == 0 && told!["identities"]![0]!["notAfter"] is not null && $"{told["identities"]![0]!["entry"]}" == entry.Id;
            },
            "an SVID");
        Assert.Equal((entry.Id, "spiffe://example.org/web"), ($"{told!["identities"]![0]!["entry"]}", $"{told["identities"]![0]!["spiffeId"]}"));
        Assert.Contains($"unix:uid:{Uid}", told["selectors"]!.AsArray().Select(selector => $"{selector}"));
    }

    [Fact]
    public async Task An_agent_without_entries_says_so()
    {
        await Eventually.IsTrueAsync(
            async () => await ExplainAsync(Domain, "--pid", OwnPid) is (1, var output, _) && output.Contains("the agent has no entry to serve: none has it as its parent", StringComparison.Ordinal),
            "an agent that says that it has none");
    }

    [Fact]
    public async Task An_agent_that_has_lost_its_server_says_so()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 1, "the entry at the agent");
        await domain.StopServerAsync();
        await Eventually.IsTrueAsync(async () => (await ExplainAsync(domain, "--pid", OwnPid)).Output.Contains("the agent is not in touch with its server: ", StringComparison.Ordinal), "the reason");
        await domain.StartServerAsync();
    }

    [Fact]
    public async Task A_process_that_is_not_there_is_not_explained()
    {
        var (exit, _, error) = await ExplainAsync(Domain, "--pid", "4194304");
        Assert.Equal((1, true), (exit, error.Contains("there is no process 4194304 here", StringComparison.Ordinal)));
        (exit, _, error) = await ExplainAsync(Domain);
        Assert.Equal((1, true), (exit, error.Contains("either --pid or --selectors is needed", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task An_entry_below_an_agent_that_nobody_knows_is_told_by_the_server()
    {
        await Eventually.IsTrueAsync(() => Domain.AgentView.Revision > 0, "an agent that has joined");
        using var admin = Domain.Admin();
        await admin.CreateEntryAsync(Entry("/web", OtherAgent), _patience);
        var (exit, output, _) = await ExplainAsync(Domain, "--selectors", TestTrustDomain.Myself.ToString());
        Assert.Equal((1, true), (exit, output.Contains($"no attested agent serves its parent {OtherAgent}", StringComparison.Ordinal)));
        (exit, output, _) = await ExplainAsync(Domain, "--selectors", TestTrustDomain.Myself.ToString(), "--agent", Domain.AgentId.Uri);
        Assert.Equal((1, true), (exit, output.Contains($"its parent is {OtherAgent}, and agent {Domain.AgentId} is neither that nor below it", StringComparison.Ordinal)));
        (exit, output, _) = await ExplainAsync(Domain, "--selectors", TestTrustDomain.Myself.ToString(), "--agent", OtherAgent.Uri);
        Assert.Equal((1, true), (exit, output.Contains($"agent {OtherAgent} is not attested here", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task An_entry_that_has_expired_says_when()
    {
        using var admin = Domain.Admin();
        await admin.CreateEntryAsync(Entry("/web", Domain.AgentId) with { ExpiresAt = new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero) }, _patience);
        var (exit, output, _) = await ExplainAsync(Domain, "--selectors", TestTrustDomain.Myself.ToString());
        Assert.Equal((1, true), (exit, output.Contains("the entry expired at 2020-01-01 00:00:00Z", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_fits_and_is_served_is_told_by_the_server_too()
    {
        await Eventually.IsTrueAsync(() => Domain.AgentView.Revision > 0, "an agent that has joined");
        await Domain.RegisterAsync("/web");
        var (exit, output, _) = await ExplainAsync(Domain, "--selectors", "unix:gid:0", TestTrustDomain.Myself.ToString());
        Assert.Equal((0, true), (exit, output.Contains("it gets spiffe://example.org/web", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_misspelt_selector_in_the_question_is_pointed_at()
    {
        var (_, output, _) = await ExplainAsync(Domain, "--selectors", "unix:uuid:0");
        Assert.Contains("unix has no key \"uuid\"; did you mean \"uid\"?", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("spiffe://example.org/web", null, "unx:uid:1", "did you mean \"unix\"?")]
    [InlineData("spiffe://example.org/web", null, "unix:user_id:1", "unix has no key \"user_id\"")]
    [InlineData("spiffe://example.org/web", null, "unix:uid:web", "for a name write unix:user:web")]
    [InlineData("spiffe://example.org/web", null, "unix:path:bin/web", "a path is absolute")]
    [InlineData("spiffe://example.org/web", null, "unix:sha256:abc", "64 lower-case hexadecimal digits")]
    [InlineData("spiffe://other.org/web", null, "unix:uid:1", "is not in this server's trust domain; write spiffe://example.org/web")]
    [InlineData("spiffe://example.org", null, "unix:uid:1", "has no path")]
    [InlineData("spiffe://example.org/spire/agent/x", null, "unix:uid:1", "is reserved for servers and agents")]
    [InlineData("spiffe://example.org/web", "spiffe://other.org/agent", "unix:uid:1", "is not an agent of trust domain example.org")]
    [InlineData("spiffe://example.org/web", "spiffe://example.org/web", "unix:uid:1", "is the entry's own SPIFFE ID")]
    public async Task An_entry_that_could_never_work_is_refused_with_the_reason(string id, string? parent, string selector, string reason)
    {
        var (exit, _, error) = await RunAsync(
            EntryCommand.Create(Context), "create", "--spiffe-id", id, "--parent-id", parent ?? Domain.AgentId.Uri, "--selector", selector, "--server", Domain.ServerSocket);
        Assert.Equal(1, exit);
        Assert.Contains(reason, error, StringComparison.Ordinal);
        Assert.Contains("hint: ", error, StringComparison.Ordinal);
    }

    private static string OwnPid => Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    private static RegistrationEntry Entry(string path, SpiffeId parent) => new() { Id = "", SpiffeId = SpiffeId.Of(TestTrustDomain.Name, path), ParentId = parent, Selectors = [TestTrustDomain.Myself] };

    private static Task<(int Exit, string Output, string Error)> ExplainAsync(TestTrustDomain domain, params string[] arguments) =>
        RunAsync(ExplainIdentityCommand.Create(Context), [.. arguments, "--server", domain.ServerSocket, "--socket", domain.AgentSocket]);

    private static async Task<(int Exit, string Output, string Error)> RunAsync(Command command, params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var exit = await command.Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }
}
