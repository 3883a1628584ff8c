using Signet.Agent;
using Signet.Client;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Agent;

/// <summary>The agent's sockets through gRPC clients of two other languages: every method, every code.</summary>
public sealed class AgentSocketTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task Clients_in_Python_and_JavaScript_get_what_they_may_have_and_the_right_code_for_each_mistake()
    {
        var node = Peer.Require("/usr/bin/node", "nodejs");
        await Peer.RequireNodeModulesAsync();
        var stubs = PythonStubs.CompileContractAsync(_folder.File("stubs"), Contracts());
        await using var domain = await TestTrustDomain.StartAsync(configureAgent: config => config with
        {
            AdminSocket = Path.Combine(Path.GetDirectoryName(config.Socket)!, "agent-admin.sock"),
            AuthorizedDelegates = [SpiffeId.Of(config.TrustDomain, "/foreign")],
        });
        await domain.RegisterAsync("/other", new Selector("unix", "uid:4000000"));
        await domain.RegisterAsync("/foreign");
        await using (var source = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            await source.WaitAsync(CancellationToken.None);
        }

        WriteFiles();
        var python = Peer.RunAsync(PythonStubs.Python, _folder.Path, Path.Combine(Peer.Scripts, "agent_socket.py"), domain.AgentSocket, domain.AgentAdminSocket, await stubs, _folder.Path);
        var script = Peer.RunAsync(node, Peer.Scripts, Path.Combine(Peer.Scripts, "agent_socket.mjs"), domain.AgentSocket, domain.AgentAdminSocket, Path.Combine(Peer.Repository, "protos"));
        Assert.EndsWith("done", (await python).TrimEnd(), StringComparison.Ordinal);
        Assert.EndsWith("done", (await script).TrimEnd(), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static string[] Contracts()
    {
        var protos = Path.Combine(Peer.Repository, "protos");
        return
        [
            "spiffe/workload.proto",
            .. new[] { "envoy", "google", "spire/api/types", "spire/api/agent" }
                .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(protos, folder), "*.proto", SearchOption.AllDirectories))
                .Select(file => Path.GetRelativePath(protos, file)),
        ];
    }

    private void WriteFiles()
    {
        var authority = new TestAuthority(DateTimeOffset.UtcNow);
        var svid = authority.Svid("/file");
        File.WriteAllText(_folder.File("cert.pem"), Pem.Encode(svid.Chain));
        File.WriteAllText(_folder.File("key.pem"), Pem.EncodePrivateKey(svid.Key));
        File.WriteAllText(_folder.File("root.pem"), authority.Bundle.ToPem());

        // Nobody may read it: for root, too, modes count.
        File.WriteAllText(_folder.File("secret.pem"), authority.Bundle.ToPem());
        File.SetUnixFileMode(_folder.File("secret.pem"), UnixFileMode.None);
    }
}
