using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.Cli.Commands.Jwt;
using Signet.Testing;

namespace Signet.FunctionalTests.Cli;

/// <summary>The commands about tokens, as scripts see them, with a real server and agent.</summary>
public sealed class JwtCommandTests
{
    private static readonly CliContext Context = new(TimeProvider.System, () => 0.5);

    [Fact]
    public async Task A_token_is_minted_inspected_and_verified_by_agent_and_by_keys()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var folder = new TestFolder();
        await domain.RegisterAsync("/web");
        await FetchAsync(domain, "warm-up");
        var (exit, minted, error) = await RunAsync(JwtCommand.Create(Context), "mint", "--spiffe-id", "spiffe://example.org/tool", "--audience", "billing", "--audience", "orders", "--ttl", "1m", "--server", domain.ServerSocket);
        Assert.Equal((0, ""), (exit, error));
        var token = minted.Trim();

        (exit, var output, _) = await RunAsync(JwtCommand.Create(Context), "inspect", token, "--output", "json");
        var seen = JsonNode.Parse(output)!;
        Assert.Equal((0, "spiffe://example.org/tool", "billing", null), (exit, $"{seen["spiffeId"]}", $"{seen["claims"]!["aud"]![0]}", seen["finding"]));

        (exit, output, _) = await RunAsync(JwtCommand.Create(Context), "verify", token, "--audience", "orders", "--socket", domain.AgentSocket);
        Assert.Equal((0, "valid: spiffe://example.org/tool\n"), (exit, output));
        (exit, output, _) = await RunAsync(JwtCommand.Create(Context), "verify", token, "--audience", "other", "--socket", domain.AgentSocket);
        Assert.Equal((1, "invalid: the token is for \"billing, orders\", not for \"other\"\n"), (exit, output));

        (exit, output, _) = await RunAsync(BundleCommand.Create(Context), "show", "--format", "jwks", "--server", domain.ServerSocket);
        Assert.Equal(0, exit);
        await File.WriteAllTextAsync(folder.File("keys.json"), output);
        (exit, output, _) = await RunAsync(JwtCommand.Create(Context), "verify", token, "--audience", "orders", "--keys", folder.File("keys.json"), "--trust-domain", "example.org", "--output", "json");
        Assert.Equal((0, "true"), (exit, JsonNode.Parse(output)!["valid"]!.ToJsonString()));
        (exit, output, _) = await RunAsync(JwtCommand.Create(Context), "verify", token, "--audience", "orders", "--keys", folder.File("keys.json"), "--trust-domain", "other.org");
        Assert.Equal((1, "invalid: there is no JWT bundle of trust domain example.org\n"), (exit, output));
    }

    [Fact]
    public async Task A_workload_fetches_its_token_and_a_mistake_has_an_error_and_a_hint()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        var answer = await FetchAsync(domain, "billing");
        Assert.Equal("spiffe://example.org/web", $"{answer["svids"]![0]!["spiffeId"]}");
        Assert.Equal(3, $"{answer["svids"]![0]!["token"]}".Split('.').Length);

        var (exit, _, error) = await RunAsync(FetchCommand.Create(Context), "jwt", "--audience", "a", "--spiffe-id", "spiffe://example.org/other", "--socket", domain.AgentSocket);
        Assert.Equal(1, exit);
        Assert.Contains("no identity issued with the SPIFFE ID spiffe://example.org/other", error, StringComparison.Ordinal);
        (exit, _, error) = await RunAsync(JwtCommand.Create(Context), "inspect", "nonsense");
        Assert.Equal((1, true), (exit, error.Contains("hint:", StringComparison.Ordinal)));
        (exit, _, error) = await RunAsync(JwtCommand.Create(Context), "mint", "--spiffe-id", "spiffe://other.org/tool", "--audience", "a", "--server", domain.ServerSocket);
        Assert.Equal((1, true), (exit, error.Contains("is not a workload of trust domain example.org", StringComparison.Ordinal)));
    }

    /// <summary>Asks until the agent has heard of what was just registered.</summary>
    private static async Task<JsonNode> FetchAsync(TestTrustDomain domain, string audience)
    {
        var output = "";
        await Eventually.IsTrueAsync(
            async () =>
            {
                (var exit, output, _) = await RunAsync(FetchCommand.Create(Context), "jwt", "--audience", audience, "--socket", domain.AgentSocket, "--output", "json");
                return exit == 0;
            },
            "a token");
        return JsonNode.Parse(output)!;
    }

    private static async Task<(int Exit, string Output, string Error)> RunAsync(Command command, params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var exit = await command.Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }
}
