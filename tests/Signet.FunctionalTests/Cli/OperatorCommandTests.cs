using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.Cli.Commands.Authority;
using Signet.FunctionalTests.Server;
using Signet.Identity.Jose;
using Signet.Identity.X509;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.FunctionalTests.Cli;

/// <summary>What an operator types to run the authority, against a real server: what it answers, to people and to scripts, and what it refuses.</summary>
public sealed class OperatorCommandTests(SharedDomain shared) : IClassFixture<SharedDomain>, IAsyncDisposable
{
    private const int Done = 0, Failed = 1, Usage = 2;

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private readonly TestFolder _folder = new();

    private TestTrustDomain Domain => shared.Domain;

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return shared.ForgetEntriesAsync();
    }

    [Fact]
    public async Task A_rotation_of_the_anchor_is_tried_followed_given_up_and_forced()
    {
        await using var domain = await SharedDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentView.Revision > 0, "an agent that has joined");
        await domain.StopAgentAsync();
        var (exit, output, _) = await RunAsync(domain, "authority", "rotate", "--anchor", "--dry-run");
        Assert.Equal((Done, true), (exit, output.StartsWith("nothing was changed; a new anchor would be published to 1 agents", StringComparison.Ordinal)));
        Assert.Equal("none", $"{(await StatusAsync(domain))["stage"]}");
        (exit, _, var error) = await RunAsync(domain, "authority", "rotate", "--anchor", "--abort");
        Assert.Equal((Failed, true), (exit, error.Contains("no rotation of the anchor is under way", StringComparison.Ordinal)));

        // Followed by the command that began it, and given up from elsewhere.
        var following = RunAsync(domain, "authority", "rotate", "--anchor");
        await Eventually.IsTrueAsync(async () => $"{(await StatusAsync(domain))["stage"]}" == "announced", "the new anchor");
        var laggard = Assert.Single((await StatusAsync(domain))["laggards"]!.AsArray())!;
        Assert.Equal(domain.AgentId.Uri, $"{laggard["who"]}");
        (_, output, _) = await RunAsync(domain, "authority", "rotate", "--anchor", "--status");
        Assert.Contains("waits for 1:", output, StringComparison.Ordinal);
        Assert.Contains(domain.AgentId.Uri, output, StringComparison.Ordinal);
        Assert.Equal(Done, (await RunAsync(domain, "authority", "rotate", "--anchor", "--abort")).Exit);
        (exit, output, error) = await following;
        Assert.Equal((Failed, true), (exit, output.StartsWith("aborted", StringComparison.Ordinal)));
        Assert.Contains($"waits for 1: {domain.AgentId}", error, StringComparison.Ordinal);

        // Forced, with a reason and not without.
        Assert.Equal(Usage, (await RunAsync(domain, "authority", "rotate", "--anchor", "--force")).Exit);
        Assert.Equal(Usage, (await RunAsync(domain, "authority", "rotate", "--anchor", "--reason", "none")).Exit);
        Assert.Equal(Usage, (await RunAsync(domain, "authority", "rotate", "--anchor", "--abort", "--status")).Exit);
        Assert.Equal(Usage, (await RunAsync(domain, "authority", "rotate")).Exit);
        following = RunAsync(domain, "authority", "rotate", "--anchor");
        foreach (var stage in new[] { "announced", "replacing" })
        {
            await Eventually.IsTrueAsync(async () => $"{(await StatusAsync(domain))["stage"]}" == stage, stage);
            (exit, output, _) = await RunAsync(domain, "authority", "rotate", "--anchor", "--force", "--reason", "the node burnt down");
            Assert.Equal((Done, true), (exit, output.Contains("does not wait in this stage: the node burnt down", StringComparison.Ordinal)));
        }

        (exit, output, _) = await following;
        Assert.Equal((Done, true), (exit, output.StartsWith("done: the old anchor is gone", StringComparison.Ordinal)));
        Assert.Single((await StatusAsync(domain))["anchors"]!.AsArray());
    }

    [Fact]
    public async Task Authorities_are_shown_and_take_orders_in_the_right_order_only()
    {
        await Eventually.IsTrueAsync(() => Domain.AgentHost.Readiness.IsReady, "the agent");
        foreach (var (kind, tier) in new[] { ("x509", "issuing"), ("jwt", "jwt") })
        {
            var first = await ActiveAsync(tier);
            var (exit, _, error) = await RunAsync(Domain, "authority", "taint", kind, "--id", first);
            Assert.Equal((Failed, true), (exit, error.Contains("error: ", StringComparison.Ordinal) && error.Contains("hint: ", StringComparison.Ordinal)));
            var next = $"{Json(await RunAsync(Domain, "authority", "prepare", kind, "--output", "json"))["id"]}";
            Assert.Equal((first, "prepared"), (await ActiveAsync(tier), await StateAsync(next)));

            // A key of tokens is activated once the agent has it.
            await Eventually.IsTrueAsync(async () => (await RunAsync(Domain, "authority", "activate", kind, "--id", next)).Exit == Done, "the order to be taken");
            Assert.Equal((next, "old"), (await ActiveAsync(tier), await StateAsync(first)));
            Assert.Equal(Failed, (await RunAsync(Domain, "authority", "revoke", kind, "--id", first)).Exit);
            Assert.Equal("tainted", $"{Json(await RunAsync(Domain, "authority", "taint", kind, "--id", first, "--output", "json"))["state"]}");
            Assert.Equal("tainted", await StateAsync(first));
        }

        Assert.Equal(Usage, (await RunAsync(Domain, "authority", "prepare", "wit")).Exit);
        Assert.Equal(Usage, (await RunAsync(Domain, "authority", "activate", "x509")).Exit);
    }

    [Fact]
    public async Task Agents_join_by_a_token_and_are_listed_banned_and_evicted()
    {
        var token = Json(await RunAsync(Domain, "token", "create", "--ttl", "5m", "--output", "json"));
        Assert.True(DateTimeOffset.Parse($"{token["expiresAt"]}", System.Globalization.CultureInfo.InvariantCulture) > DateTimeOffset.UtcNow.AddMinutes(4));
        using var key = KeyPair.Generate(KeyType.EcP256);
        var agent = (await ForeignAgent.JoinAsync(Domain, $"{token["token"]}", key, _patience)).Id.Uri;
        Assert.Equal(agent, $"{token["spiffeId"]}");

        var list = Json(await RunAsync(Domain, "agent", "list", "--output", "json"));
        Assert.Null(list["nextPage"]);
        Assert.Contains(list["agents"]!.AsArray(), one => $"{one!["spiffeId"]}" == agent && $"{one["attestor"]}" == "join_token");
        Assert.Contains(agent, (await RunAsync(Domain, "agent", "show", agent)).Output, StringComparison.Ordinal);

        Assert.Equal(0, (int)Json(await RunAsync(Domain, "agent", "count", "--banned", "true", "--output", "json"))["count"]!);
        Assert.Equal((Done, $"banned {agent}\n", ""), await RunAsync(Domain, "agent", "ban", agent));
        Assert.Equal(1, (int)Json(await RunAsync(Domain, "agent", "count", "--banned", "true", "--output", "json"))["count"]!);
        Assert.Equal((Done, $"evicted {agent}\n", ""), await RunAsync(Domain, "agent", "evict", agent));
        var (exit, _, error) = await RunAsync(Domain, "agent", "show", agent);
        Assert.Equal((Failed, true), (exit, error.Contains($"there is no agent {agent}", StringComparison.Ordinal)));

        Assert.Equal(Failed, (await RunAsync(Domain, "token", "create", "--ttl", "8d")).Exit);
        Assert.Equal(Usage, (await RunAsync(Domain, "agent", "ban", "node-1")).Exit);
        Assert.Empty(Json(await RunAsync(Domain, "agent", "purge", "--dry-run", "--include-tofu", "--output", "json"))["agents"]!.AsArray());
    }

    [Fact]
    public async Task Bundles_are_shown_set_and_deleted_and_relationships_say_why_they_do_not_work()
    {
        var (exit, pem, _) = await RunAsync(Domain, "bundle", "show");
        Assert.Equal((Done, true), (exit, Pem.TryReadCertificates(pem, out var anchors, out _)));
        Assert.Single(anchors!);
        Assert.True(SpiffeBundle.TryReadAny(TestTrustDomain.Name, (await RunAsync(Domain, "bundle", "show", "--format", "spiffe")).Output, out var bundle, out var problem), problem);
        Assert.Equal(anchors!, bundle.X509.Authorities);

        var other = _folder.File("other.pem");
        await File.WriteAllTextAsync(other, Pem.Encode((CertificateForge.Authority("CN=other") with { NotBefore = DateTimeOffset.UtcNow.AddHours(-1), NotAfter = DateTimeOffset.UtcNow.AddHours(1) }).SignSelf().Certificate), _patience);
        Assert.Equal((Done, "set other.example: 1 authorities, 0 JWT keys\n", ""), await RunAsync(Domain, "bundle", "set", "other.example", other));
        Assert.Equal(["example.org", "other.example"], Json(await RunAsync(Domain, "bundle", "list", "--output", "json"))["bundles"]!.AsArray().Select(one => $"{one!["trustDomain"]}"));
        Assert.Equal(await File.ReadAllTextAsync(other, _patience), (await RunAsync(Domain, "bundle", "show", "other.example")).Output);
        await File.WriteAllTextAsync(other, "garbage", _patience);
        Assert.Equal(Failed, (await RunAsync(Domain, "bundle", "set", "other.example", other)).Exit);
        Assert.Equal(Done, (await RunAsync(Domain, "bundle", "delete", "other.example")).Exit);
        Assert.Equal(Failed, (await RunAsync(Domain, "bundle", "delete", "other.example")).Exit);

        Assert.Equal(Failed, (await RunAsync(Domain, "federation", "create", "third.example", "--url", "http://127.0.0.1:1/bundle", "--profile", "https_web")).Exit);
        Assert.Equal(Done, (await RunAsync(Domain, "federation", "create", "third.example", "--url", "https://127.0.0.1:1/bundle", "--profile", "https_web")).Exit);
        Assert.Equal("third.example", $"{Assert.Single(Json(await RunAsync(Domain, "federation", "list", "--output", "json"))["relationships"]!.AsArray())!["trustDomain"]}");
        (exit, _, var error) = await RunAsync(Domain, "federation", "refresh", "third.example");
        Assert.Equal((Failed, true), (exit, error.Contains("refused", StringComparison.OrdinalIgnoreCase)));
        Assert.Equal(Done, (await RunAsync(Domain, "federation", "delete", "third.example")).Exit);
        Assert.Equal(Failed, (await RunAsync(Domain, "federation", "show", "third.example")).Exit);
    }

    [Fact]
    public async Task A_certificate_is_minted_and_revoked_and_the_trail_has_it_all()
    {
        var minted = Json(await RunAsync(Domain, "mint", "--spiffe-id", "spiffe://example.org/tool", "--write", _folder.File("tool"), "--output", "json"));
        Assert.True(Pem.TryReadCertificates(await File.ReadAllTextAsync(_folder.File("tool/svid.pem"), _patience), out var chain, out _));
        Assert.Equal($"{minted["serial"]}", chain[0].SerialHex);
        Assert.Equal(Failed, (await RunAsync(Domain, "mint", "--spiffe-id", "spiffe://other.org/tool", "--write", _folder.File("none"))).Exit);

        Assert.Equal(Usage, (await RunAsync(Domain, "revoke", "--reason", "keyCompromise")).Exit);
        Assert.Equal(Usage, (await RunAsync(Domain, "revoke", "--serial", chain[0].SerialHex, "--reason", "because")).Exit);
        Assert.Equal(Failed, (await RunAsync(Domain, "revoke", "--serial", "00ff", "--reason", "keyCompromise")).Exit);
        Assert.Equal(Done, (await RunAsync(Domain, "revoke", "--serial", chain[0].SerialHex, "--reason", "keyCompromise")).Exit);
        var revoked = Assert.Single(Json(await RunAsync(Domain, "revocations", "list", "--output", "json"))["revocations"]!.AsArray())!;
        Assert.Equal((chain[0].SerialHex, "spiffe://example.org/tool", "keyCompromise"), ($"{revoked["serial"]}", $"{revoked["spiffeId"]}", $"{revoked["reason"]}"));

        var (exit, output, _) = await RunAsync(Domain, "audit", "tail", "-n", "1000");
        Assert.Equal((Done, true), (exit, output.Contains("MintX509SVID", StringComparison.Ordinal) && output.Contains(chain[0].SerialHex, StringComparison.Ordinal)));
        (exit, output, _) = await RunAsync(Domain, "audit", "verify");
        Assert.Equal((Done, true), (exit, output.Contains(" records hold\n", StringComparison.Ordinal)));
        Assert.StartsWith("trust domain example.org, 0 entries\n", (await RunAsync(Domain, "status")).Output, StringComparison.Ordinal);
    }

    private async Task<string> ActiveAsync(string tier) => $"{(await AuthoritiesAsync()).Single(one => $"{one!["tier"]}" == tier && $"{one["state"]}" == "active")!["id"]}";

    private async Task<string> StateAsync(string id) => $"{(await AuthoritiesAsync()).Single(one => $"{one!["id"]}" == id)!["state"]}";

    private async Task<JsonArray> AuthoritiesAsync() => Json(await RunAsync(Domain, "authority", "show", "--output", "json"))["authorities"]!.AsArray();

    private async Task<JsonNode> StatusAsync(TestTrustDomain domain) => Json(await RunAsync(domain, "authority", "rotate", "--anchor", "--status", "--output", "json"));

    private static JsonNode Json((int Exit, string Output, string Error) answer)
    {
        Assert.True(answer.Exit == Done, answer.Error);
        return JsonNode.Parse(answer.Output)!;
    }

    private async Task<(int Exit, string Output, string Error)> RunAsync(TestTrustDomain domain, params string[] arguments)
    {
        var context = new CliContext(TimeProvider.System, () => 0.5);
        Command[] commands =
        [
            TokenCommand.Create(context), RoleCommand.Agent(context), BundleCommand.Create(context), FederationCommand.Create(context), AuditCommand.Create(context), AuthorityCommand.Create(context),
            RevocationCommand.Revoke(context), RevocationCommand.List(context), MintCommand.Create(context), StatusCommand.Create(context),
        ];
        var (output, error) = (new StringWriter(), new StringWriter());
        var parsed = commands.Single(command => command.Name == arguments[0]).Parse([.. arguments[1..], "--server", domain.ServerSocket]);
        var exit = await parsed.InvokeAsync(new InvocationConfiguration { Output = output, Error = error }, _patience);
        return (parsed.Errors.Count > 0 ? Usage : exit, output.ToString(), error.ToString());
    }
}
