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

/// <summary>A Unix socket on which the agent answers: that of workloads and proxies, to which everybody may connect, or that of delegates and operators.</summary>
internal sealed class WorkloadEndpoint : IDaemonPart, IAsyncDisposable
{
    /// <summary>How many connections may be open.</summary>
    public const int MaxConnections = 10_000;

    /// <summary>The longest request, in bytes: a proxy's description of itself is the longest that there is.</summary>
    public const int MaxRequestBytes = 256 * 1024;

    private readonly WebApplication _app;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="kind">What it is called.</param>
    /// <param name="socket">Its path.</param>
    /// <param name="mode">Who may connect.</param>
    /// <param name="addServices">What it serves.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logs">Where it logs.</param>
    /// <param name="secure">Puts something between the socket and the calls, as TLS; null for nothing.</param>
    public WorkloadEndpoint(string kind, string socket, UnixFileMode mode, Action<GrpcServices> addServices, TimeProvider time, ILoggerFactory logs, Action<ListenOptions>? secure = null)
    {
        Name = $"{kind} {socket}";
        var perUser = new ConnectionsPerUser(logs.CreateLogger<WorkloadEndpoint>());
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        builder.Services.AddRoutingCore();
        builder.WebHost
            .UseKestrelCore()
            .UseSockets(sockets => sockets.CreateBoundListenSocket = _ => UnixSocketPath.Bind(socket, mode))
            .ConfigureKestrel(kestrel =>
            {
                kestrel.UseGrpcDefaults();
                kestrel.Limits.MaxConcurrentConnections = MaxConnections;
                kestrel.ListenUnixSocket(socket, listen =>
                {
                    listen.Protocols = HttpProtocols.Http2;
                    listen.UsePeerCredentials();
                    perUser.Limit(listen);
                    secure?.Invoke(listen);
                });
            });
        _app = builder.Build();
        _app.UseRouting();
        _app.MapGrpc(time, new GrpcServerOptions { MaxReceiveMessageLength = MaxRequestBytes }, addServices);
    }

    public string Name { get; }

    public Task Completion => _completion.Task;

    public Task StartAsync(CancellationToken cancellationToken) => _app.StartAsync(cancellationToken);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _app.StopAsync(cancellationToken).ConfigureAwait(false);
        _completion.TrySetResult();
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
