using Microsoft.Extensions.Logging;
using Signet.Authority.Issuance;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Grpc;
using Signet.Server.Api;
using Signet.Server.Attestation;
using Signet.Server.Telemetry;
using Signet.Server.Upstream;
using AnchorApi = Signet.Rpc.Wire.Authority.AnchorRotation;
using AuthoritiesApi = Signet.Rpc.Wire.Authority.Authorities;
using LocalAuthorityApi = Signet.Rpc.Wire.Spire.Server.LocalAuthority.LocalAuthority;

namespace Signet.Server.Upkeep;

/// <summary>Those who look after the authorities, put together: who has acknowledged what, the anchor's rotation, operators' orders, files to follow, warnings.</summary>
internal sealed class AuthorityCare : IAsyncDisposable
{
    private readonly AuthorityRotation _authorities;
    private readonly RotationGate _gate;
    private readonly AuthorityOrders _orders;
    private readonly UpstreamConfig? _upstream;
    private readonly TimeProvider _time;

    public AuthorityCare(
        ServerConfig config,
        AuthorityRotation authorities,
        ILiveCertificates issued,
        ServerIdentity identity,
        AgentDirectory agents,
        ChangeSignal bundleChanges,
        IUpstream? upstream,
        ServerMetrics metrics,
        TimeProvider time,
        ILoggerFactory logs)
    {
        (_authorities, _upstream, _time) = (authorities, config.Upstream, time);
        Acknowledgements = new Acknowledgements(authorities, agents, metrics, time);
        _gate = new RotationGate(Acknowledgements, agents, issued, identity, config.TrustDomain, time);
        _orders = new AuthorityOrders(authorities, Acknowledgements, bundleChanges, logs.CreateLogger<AuthorityOrders>());
        Anchor = new AnchorRotationKeeper(authorities, _gate, Acknowledgements, bundleChanges, time, logs.CreateLogger<AnchorRotationKeeper>());
        Expiry = new ExpiryWatch(config.Upstream, authorities, logs.CreateLogger<ExpiryWatch>());
        var list = config.Upstream?.RevocationList is { } path ? new RevocationListFile(path, time, logs.CreateLogger<RevocationListFile>()) : null;
        Upstream = upstream is null ? null : new UpstreamFollower(upstream, list, authorities, Acknowledgements, bundleChanges, logs.CreateLogger<UpstreamFollower>());
        metrics.Observe(authorities, Acknowledgements, Anchor);
    }

    public Acknowledgements Acknowledgements { get; }

    public AnchorRotationKeeper Anchor { get; }

    public ExpiryWatch Expiry { get; }

    /// <summary>Null when the server makes its own authorities.</summary>
    public UpstreamFollower? Upstream { get; }

    /// <summary>The services by which operators look after the authorities.</summary>
    public GrpcServices AddTo(GrpcServices services, GrpcCallFilter filter) => services
        .Add(AuthoritiesApi.Descriptor, AuthoritiesApi.BindService(new AuthoritiesService(_authorities)), filter)
        .Add(LocalAuthorityApi.Descriptor, LocalAuthorityApi.BindService(new LocalAuthorityService(_authorities, _orders, _upstream)), filter)
        .Add(AnchorApi.Descriptor, AnchorApi.BindService(new AnchorRotationService(_authorities, Anchor, _gate, Acknowledgements, _time)), filter);

    public ValueTask DisposeAsync() => Upstream?.DisposeAsync() ?? ValueTask.CompletedTask;
}
