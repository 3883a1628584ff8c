using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Hosting.Grpc;
using Signet.Hosting.PeerCredentials;
using Signet.Server.Access;
using Signet.Server.Telemetry;

namespace Signet.Server.Api;

/// <summary>The server's gRPC on its two doors: TLS for agents, a Unix socket for operators on this machine.</summary>
internal sealed class ApiEndpoint : IDaemonPart, IAsyncDisposable
{
    private readonly ServerConfig _config;
    private readonly WebApplication _app;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ApiEndpoint(ServerConfig config, ServerTls tls, Action<GrpcServices> addServices, TimeProvider time, ILoggerFactory logs)
    {
        _config = config;
        LocalEndPoint = config.Listen;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().UseSockets(sockets => sockets.CreateBoundListenSocket = Bind).ConfigureKestrel(kestrel =>
        {
            kestrel.UseGrpcDefaults();
            kestrel.Limits.MaxConcurrentConnections = config.Limits.Connections;
            kestrel.Limits.Http2.MaxStreamsPerConnection = config.Limits.CallsPerConnection;
            kestrel.Listen(config.Listen, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseHttps(tls.Options());
            });
            kestrel.ListenUnixSocket(config.AdminSocket, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UsePeerCredentials();
            });
        });
        _app = builder.Build();
        _app.Use(next => http =>
        {
            // What the call makes the store do is counted under its method.
            if (MethodTable.Rules.ContainsKey(http.Request.Path.Value ?? ""))
            {
                StoreMetrics.Enter(http.Request.Path.Value!);
            }

            return next(http);
        });
        _app.UseRouting();
        _app.MapGrpc(time, new GrpcServerOptions { MaxReceiveMessageLength = config.Limits.RequestSize }, addServices);
    }

    public string Name => $"gRPC {LocalEndPoint} and {_config.AdminSocket}";

    /// <summary>Where agents connect; the real port once it started.</summary>
    public IPEndPoint LocalEndPoint { get; private set; }

    public Task Completion => _completion.Task;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _app.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or IOException and not PlaceException)
        {
            throw new CannotListenException(LocalEndPoint, "listen", e);
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _app.StopAsync(cancellationToken).ConfigureAwait(false);
        _completion.TrySetResult();
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private Socket Bind(EndPoint endPoint)
    {
        if (endPoint is UnixDomainSocketEndPoint)
        {
            // Other users can only be let in by letting all connect; the gate then looks at who it is.
            return UnixSocketPath.Bind(_config.AdminSocket, _config.Access.NamesOtherUsers(NativeUser.EffectiveId()) ? UnixSocketPath.EverybodyConnects : UnixSocketPath.OwnerConnects);
        }

        var socket = Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets.SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
        LocalEndPoint = (IPEndPoint)socket.LocalEndPoint!;
        return socket;
    }
}
