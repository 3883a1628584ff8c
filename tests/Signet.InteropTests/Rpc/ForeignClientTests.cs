using Signet.Testing.Rpc;
using ServingStatus = Signet.Rpc.Wire.Health.HealthCheckResponse.Types.ServingStatus;

namespace Signet.InteropTests.Rpc;

/// <summary>Clients nobody here wrote, against our server.</summary>
public sealed class ForeignClientTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Python_is_served(bool tls)
    {
        await using var server = await RpcTestServer.StartAsync();
        server.Health.Set("", ServingStatus.Serving);
        await PythonStubs.CompileAsync(server.FolderPath);
        PemFiles.Write(server.Certificates, server.FolderPath);
        string[] target = tls ? [$"localhost:{server.TlsPort}", server.FolderPath] : [$"unix:{server.SocketPath}"];
        var output = await Peer.RunAsync(PythonStubs.Python, server.FolderPath, [Path.Combine(Peer.Scripts, "grpc_client.py"), .. target]);
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Node_is_served(bool tls)
    {
        var node = Peer.Require("/usr/bin/node", "nodejs");
        await Peer.RequireNodeModulesAsync();
        await using var server = await RpcTestServer.StartAsync();
        PemFiles.Write(server.Certificates, server.FolderPath);
        string[] target = tls ? [$"localhost:{server.TlsPort}"] : [$"unix:{server.SocketPath}"];
        var echo = Path.Combine(Peer.Repository, "tests", "Signet.Testing", "Rpc", "echo.proto");
        string[] certificates = tls ? [server.FolderPath] : [];
        var output = await Peer.RunAsync(node, Peer.Scripts, [Path.Combine(Peer.Scripts, "grpc_client.mjs"), .. target, echo, .. certificates]);
        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
    }
}
