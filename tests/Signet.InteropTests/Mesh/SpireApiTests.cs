using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.InteropTests.Rpc;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Testing;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;

namespace Signet.InteropTests.Mesh;

/// <summary>SPIRE's server APIs through gRPC clients of other languages.</summary>
public sealed class SpireApiTests : IDisposable
{
    private static readonly string[] Services = ["agent", "bundle", "debug", "entry", "logger", "svid"];
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task A_Python_tool_administers_the_server_as_the_tools_around_SPIRE_do()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        await domain.StopAgentAsync();
        var stubs = await PythonStubs.CompileContractAsync(
            _folder.File("stubs"),
            [
                .. Directory.EnumerateFiles(Path.Combine(Peer.Repository, "protos", "spire", "api", "types")).Select(file => $"spire/api/types/{Path.GetFileName(file)}"),
                .. Services.Select(service => $"spire/api/server/{service}/v1/{service}.proto"),
            ]);
        var output = await Peer.RunAsync(PythonStubs.Python, _folder.Path, Path.Combine(Peer.Scripts, "spire_admin.py"), domain.ServerSocket, stubs);
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1201)]
    public async Task An_agent_of_another_make_joins_synchronises_gets_SVIDs_and_renews_as_SPIREs_does(int entries)
    {
        var node = Peer.Require("/usr/bin/node", "nodejs");
        await Peer.RequireNodeModulesAsync();
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(5), alias: null, CancellationToken.None);
        using var channel = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        foreach (var batch in Enumerable.Range(0, entries).Select(i => Entry(i, token.AgentId).ToWire()).Chunk(500))
        {
            await new EntryApi.EntryClient(channel).BatchCreateEntryAsync(new BatchCreateEntryRequest { Entries = { batch } });
        }

        var output = await Peer.RunAsync(
            node, Peer.Scripts, Path.Combine(Peer.Scripts, "spire_agent.mjs"), $"{domain.ServerEndPoint}", Path.Combine(Peer.Repository, "protos"), Path.Combine(domain.Folder, "bundle.pem"), token.Token, $"{entries}");
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static RegistrationEntry Entry(int number, SpiffeId parent) => new()
    {
        Id = "",
        SpiffeId = SpiffeId.Of(TestTrustDomain.Name, $"/workload-{number}"),
        ParentId = parent,
        Selectors = [new Selector("unix", $"uid:{number}")],
    };
}
