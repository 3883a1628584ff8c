using System.Net;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload.Token;
using Signet.Agent.Identities;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Admin;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Hosting.Grpc;
using Signet.Rpc.Wire.Envoy.Secret;

namespace Signet.Agent.Sds;

/// <summary>SDS as a whole: the service for proxies, and what operators see of it. Whoever builds it disposes it.</summary>
internal sealed class SecretDiscovery : IDisposable
{
    private readonly SdsMetrics _metrics;
    private readonly SdsService _service;
    private readonly SdsClients _clients;
    private readonly WorkloadSubjects _subjects;

    public SecretDiscovery(
        WorkloadSubjects subjects, WorkloadTokens tokens, IdentityCache cache, AskForStaples ask, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        var clients = new SdsClients(time);
        var staples = new Staples(ask, cache, time, chance, logs.CreateLogger<Staples>());
        Loop = new BackgroundPart("staples", staples.RunAsync);
        _metrics = new SdsMetrics(clients);
        _service = new SdsService(subjects, clients, new SdsWorld(cache, staples, tokens, new ForeignFiles(time), _metrics, time, logs.CreateLogger<SdsService>()));
        (_clients, _subjects) = (clients, subjects);
    }

    /// <summary>Keeps staples fresh.</summary>
    public BackgroundPart Loop { get; }

    /// <inheritdoc cref="SdsClientsRoute.At"/>
    public IReadOnlyList<AdminRoute> RoutesAt(IPEndPoint listen) => SdsClientsRoute.At(listen, _clients);

    public GrpcServices AddTo(GrpcServices services) => services.Add(SecretDiscoveryService.Descriptor, SecretDiscoveryService.BindService(_service), _subjects.AttestAsync);

    public void Dispose() => _metrics.Dispose();
}
