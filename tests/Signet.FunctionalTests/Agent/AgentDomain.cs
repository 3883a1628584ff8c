using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Signet.Agent;
using Signet.Client;
using Signet.Hosting.Admin;
using Signet.Identity.Spiffe;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>One server and one agent for all tests of a class, with the workload <c>/web</c> that this process is, and <c>/billing</c> that it is not.</summary>
[SuppressMessage("Performance", "CA1812", Justification = "made by the test framework")]
public sealed class AgentDomain : IAsyncLifetime
{
    public static readonly SpiffeId Web = SpiffeId.Of(TestTrustDomain.Name, "/web");

    public TestTrustDomain Domain { get; private set; } = null!;

    /// <summary>The agent's HTTP endpoint.</summary>
    public Uri Admin => new($"http://{Domain.AgentHost.Parts.OfType<AdminEndpoint>().Single().LocalEndPoint}");

    public async ValueTask InitializeAsync()
    {
        Domain = await TestTrustDomain.StartAsync(configureAgent: WithAdminSocket);
        await Domain.RegisterAsync("/billing", new Identity.Registration.Selector("unix", "uid:4000000"));
        await Domain.RegisterAsync("/web");
        await AnswersAsync(Domain, StatusCode.OK);

        // The first question after a secret has it stapled, which is a change of its own.
        using var channel = Connect();
        await Eventually.IsTrueAsync(
            async () => (await new SecretDiscoveryService.SecretDiscoveryServiceClient(channel).FetchSecretsAsync(new DiscoveryRequest { ResourceNames = { "default" }, TypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret" }))
                .Resources[0].Unpack<Secret>().TlsCertificate.OcspStaple is not null,
            "the staple");
    }

    /// <summary>Waits until this process is answered so when it asks the agent for its SVIDs: what is registered takes its time to get there.</summary>
    public static async Task AnswersAsync(TestTrustDomain domain, StatusCode expected)
    {
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        await Eventually.IsTrueAsync(
            async () =>
            {
                using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(CancellationToken.None));
                try
                {
                    return await call.ResponseStream.MoveNext(CancellationToken.None) && expected == StatusCode.OK;
                }
                catch (RpcException e)
                {
                    return e.StatusCode == expected;
                }
            },
            $"the answer {expected}");
    }

    public ValueTask DisposeAsync() => Domain.DisposeAsync();

    public GrpcChannel Connect() => GrpcChannel.ForUnixSocket(Domain.AgentSocket, TimeProvider.System);

    private static AgentConfig WithAdminSocket(AgentConfig config) => config with
    {
        AdminSocket = Path.Combine(Path.GetDirectoryName(config.Socket)!, "agent-admin.sock"),
        AuthorizedDelegates = [Web],
    };
}
