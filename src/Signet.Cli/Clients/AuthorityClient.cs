using Grpc.Core;
using Signet.Rpc;
using Signet.Rpc.Wire.Authority;

namespace Signet.Cli.Clients;

/// <summary>The operator's side of the authorities on the server's admin socket. What the server refuses, or what cannot be reached, is a <see cref="RpcException"/>.</summary>
internal sealed class AuthorityClient(string socket, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private readonly GrpcChannel _channel = GrpcChannel.ForUnixSocket(socket, time);

    private AnchorRotation.AnchorRotationClient Anchor => new(_channel);

    public Task<RotationStatus> StartAsync(bool dryRun, CancellationToken cancellationToken) =>
        Anchor.StartAsync(new StartRequest { DryRun = dryRun }, Options(cancellationToken)).ResponseAsync;

    public Task<RotationStatus> StatusAsync(CancellationToken cancellationToken) =>
        Anchor.GetStatusAsync(new GetStatusRequest(), Options(cancellationToken)).ResponseAsync;

    public Task<RotationStatus> AbortAsync(CancellationToken cancellationToken) =>
        Anchor.AbortAsync(new AbortRequest(), Options(cancellationToken)).ResponseAsync;

    public Task<RotationStatus> ForceAsync(string reason, CancellationToken cancellationToken) =>
        Anchor.ForceAsync(new ForceRequest { Reason = reason }, Options(cancellationToken)).ResponseAsync;

    public void Dispose() => _channel.Dispose();

    private CallOptions Options(CancellationToken cancellationToken) => new(null, (time.GetUtcNow() + Timeout).UtcDateTime, cancellationToken);
}
