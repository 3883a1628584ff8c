using System.Globalization;
using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Client;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.InteropTests.Rpc;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.InteropTests.Agent;

/// <summary>What bad neighbours on the agent's socket can do to others: nothing.</summary>
public sealed class HostileClientTests : IDisposable
{
    private const int Neighbours = 1000;

    /// <summary>Twice what is seen, garbage that was not collected yet included; a megabyte for each neighbour would be above it.</summary>
    private const long MaxResidentBytes = 640L * 1024 * 1024;

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(5)).Token;
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task A_thousand_that_connect_and_never_read_keep_nobody_from_an_identity_and_cost_little()
    {
        var layout = new DemoLayout(_folder.Path);
        await using var mesh = new DemoMesh(layout, TimeProvider.System);
        await mesh.StartServerAsync(TimeSpan.FromMinutes(5), CancellationToken.None);
        await mesh.StartAgentAsync(CancellationToken.None);
        using var admin = new AdminClient(layout.ServerSocket, TimeProvider.System);
        var agent = (await admin.AgentsAsync(_patience)).Single().Id;
        await admin.CreateEntryAsync(
            new RegistrationEntry { Id = "", SpiffeId = SpiffeId.Parse($"spiffe://{DemoLayout.TrustDomain}/me"), ParentId = agent, Selectors = [TestTrustDomain.Myself] }, _patience);
        using var hostile = Peer.Start(Peer.Require("/usr/bin/python3", "python3"), _folder.Path, Path.Combine(Peer.Scripts, "hostile_clients.py"), layout.AgentSocket, $"{Neighbours}");
        try
        {
            Assert.Equal("connected", await hostile.StandardOutput.ReadLineAsync(_patience));
            Assert.True(WorkloadApiAddress.TryParse(layout.AgentSocket, out var address, out var problem), problem);
            await using var source = new X509Source(address, TimeProvider.System);
            Assert.Equal("/me", (await source.WaitAsync(_patience)).Default.Id.Path);
            Assert.InRange(ResidentBytes(mesh.Processes.Single(process => process.Name == "agent").Pid), 1, MaxResidentBytes);
        }
        finally
        {
            Peer.Kill(hostile);
        }
    }

    [Fact]
    public async Task Whoever_inherits_the_connection_of_a_dead_process_gets_nothing_by_it()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await using (var living = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            await living.WaitAsync(_patience);
        }

        using var heir = Peer.Start(Peer.Require("/usr/bin/python3", "python3"), _folder.Path, Path.Combine(Peer.Scripts, "heir.py"), domain.AgentSocket, _folder.File("heir.sock"));
        try
        {
            Assert.Equal("listening", await heir.StandardOutput.ReadLineAsync(_patience));
            await heir.WaitForExitAsync(_patience);
            using var channel = GrpcChannel.ForUnixSocket(_folder.File("heir.sock"), TimeProvider.System);
            using var svids = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(_patience));
            await RefusedAsync(svids.ResponseStream.MoveNext(_patience));
            var request = new DiscoveryRequest { ResourceNames = { "default" } };
            await RefusedAsync(new SecretDiscoveryService.SecretDiscoveryServiceClient(channel).FetchSecretsAsync(request, new CallOptions(CancellationToken: _patience)).ResponseAsync);
        }
        finally
        {
            Peer.Kill(heir);
        }
    }

    public void Dispose() => _folder.Dispose();

    private static async Task RefusedAsync(Task call)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(() => call);
        Assert.Equal((StatusCode.Unavailable, "the calling process could not be attested"), (refusal.StatusCode, refusal.Status.Detail));
    }

    private static long ResidentBytes(int pid) => 1024 * long.Parse(
        File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
}
