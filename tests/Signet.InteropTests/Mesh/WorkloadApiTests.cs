using System.Text.Json.Nodes;
using Signet.Identity.Registration;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Mesh;

/// <summary>The Workload API through a gRPC client of another language, with stubs made from our contract by another compiler.</summary>
public sealed class WorkloadApiTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task A_Python_workload_gets_its_SVID_and_bundles_and_the_right_code_for_each_mistake()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/python");
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        var answers = await AskAsync(domain);
        Assert.Equal("OK", answers["svid"]["code"]!.ToString());
        Assert.Equal("spiffe://example.org/python", answers["svid"]["ids"]![0]!.ToString());
        Assert.Equal("spiffe://example.org", answers["bundles"]["bundles"]![0]!.ToString());
        Assert.Equal("INVALID_ARGUMENT", answers["no header"]["code"]!.ToString());
        Assert.Equal("INVALID_ARGUMENT", answers["wrong header"]["code"]!.ToString());
    }

    [Fact]
    public async Task A_Python_process_that_no_entry_fits_is_denied()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/other", new Selector("unix", "path:/usr/bin/somebody-else"));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        var answers = await AskAsync(domain);
        Assert.Equal("PERMISSION_DENIED", answers["svid"]["code"]!.ToString());
        Assert.Equal("no identity issued", answers["svid"]["detail"]!.ToString());
        Assert.Equal("PERMISSION_DENIED", answers["bundles"]["code"]!.ToString());
    }

    public void Dispose() => _folder.Dispose();

    private async Task<Dictionary<string, JsonNode>> AskAsync(TestTrustDomain domain)
    {
        var stubs = await PythonStubs.CompileContractAsync(_folder.File("stubs"), "spiffe/workload.proto");
        var output = await Peer.RunAsync(PythonStubs.Python, _folder.Path, Path.Combine(Peer.Repository, "tests/Signet.InteropTests/peers/workload_api.py"), domain.AgentSocket, stubs);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!).ToDictionary(answer => answer["question"]!.ToString());
    }
}
