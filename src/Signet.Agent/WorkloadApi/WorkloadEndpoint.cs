using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Hosting.Grpc;
using Signet.Hosting.PeerCredentials;

namespace Signet.Agent.WorkloadApi;

/// <summary>The Unix socket on which workloads and proxies find the agent. Everybody may connect; what they get depends on who they are.</summary>
internal sealed class WorkloadEndpoint : IDaemonPart, IAsyncDisposable
{
    private const int MaxConnections = 10_000;

    private readonly string _socket;
    private readonly WebApplication _app;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public WorkloadEndpoint(string socket, Action<GrpcServices> addServices, TimeProvider time, ILoggerFactory logs)
    {
        _socket = socket;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        builder.Services.AddRoutingCore();
        builder.WebHost
            .UseKestrelCore()
            .UseSockets(sockets => sockets.CreateBoundListenSocket = _ => UnixSocketPath.Bind(socket, UnixSocketPath.EverybodyConnects))
            .ConfigureKestrel(kestrel =>
            {
                kestrel.UseGrpcDefaults();
                kestrel.Limits.MaxConcurrentConnections = MaxConnections;
                kestrel.ListenUnixSocket(socket, listen =>
                {
                    listen.Protocols = HttpProtocols.Http2;
                    listen.UsePeerCredentials();
                });
            });
        _app = builder.Build();
        _app.UseRouting();
        _app.MapGrpc(time, new GrpcServerOptions(), addServices);
    }

    public string Name => $"Workload API {_socket}";

    public Task Completion => _completion.Task;

    public Task StartAsync(CancellationToken cancellationToken) => _app.StartAsync(cancellationToken);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _app.StopAsync(cancellationToken).ConfigureAwait(false);
        _completion.TrySetResult();
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
