using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Grpc;
using Signet.Rpc;

namespace Signet.Testing.Rpc;

/// <summary>The echo service on a Unix socket and on TLS 1.3 with client certificates, with health and reflection.</summary>
public sealed class RpcTestServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly DirectoryInfo _folder;

    private RpcTestServer(WebApplication app, DirectoryInfo folder, RpcTestCertificates certificates, RememberedLog log)
    {
        _app = app;
        _folder = folder;
        Certificates = certificates;
        Log = log;
    }

    public EchoService Echo { get; } = new();

    public GrpcHealthService Health { get; } = new();

    public RpcTestCertificates Certificates { get; }

    /// <summary>What the server logged, rendered.</summary>
    public RememberedLog Log { get; }

    public string SocketPath => Path.Combine(_folder.FullName, "rpc.sock");

    public string FolderPath => _folder.FullName;

    public int TlsPort { get; private set; }

    /// <summary>The same in plaintext on loopback, as an application behind a proxy listens.</summary>
    public IPEndPoint PlainEndPoint { get; private set; } = null!;

    /// <summary>Starts a server of its own folder, socket and port.</summary>
    /// <param name="time">Judges deadlines; the system's when null.</param>
    /// <param name="options">Limits; the defaults when null.</param>
    /// <param name="filter">Runs before each call of the echo service.</param>
    /// <param name="onSocket">Changes the Unix socket's endpoint.</param>
    public static async Task<RpcTestServer> StartAsync(
        TimeProvider? time = null,
        GrpcServerOptions? options = null,
        GrpcCallFilter? filter = null,
        Action<ListenOptions>? onSocket = null)
    {
        var folder = Directory.CreateTempSubdirectory("signet-rpc-");
        var certificates = RpcTestCertificates.Create();
        var log = new RememberedLog();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.Logging.SetMinimumLevel(LogLevel.Debug).AddProvider(new RememberedLog.Provider(log));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.UseGrpcDefaults();
            kestrel.ListenUnixSocket(Path.Combine(folder.FullName, "rpc.sock"), listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                onSocket?.Invoke(listen);
            });
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(certificates.ServerOptions()) });
            });
        });
        var app = builder.Build();
        var server = new RpcTestServer(app, folder, certificates, log);
        app.UseRouting();
        app.MapGrpc(time ?? TimeProvider.System, options ?? new GrpcServerOptions(), services => services
            .Add(Rpc.Echo.Descriptor, Rpc.Echo.BindService(server.Echo), filter)
            .Add(Signet.Rpc.Wire.Health.Health.Descriptor, Signet.Rpc.Wire.Health.Health.BindService(server.Health))
            .AddReflection());
        await app.StartAsync();
        var addresses = app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
        server.TlsPort = new Uri(addresses.Single(address => address.StartsWith("https://", StringComparison.Ordinal))).Port;
        server.PlainEndPoint = new(IPAddress.Loopback, new Uri(addresses.Single(address => address.StartsWith("http://127", StringComparison.Ordinal))).Port);
        return server;
    }

    /// <summary>A channel to the Unix socket.</summary>
    public GrpcChannel UnixChannel(TimeProvider? time = null, GrpcChannelOptions? options = null) =>
        GrpcChannel.ForUnixSocket(SocketPath, time ?? TimeProvider.System, options);

    /// <summary>A channel with TLS 1.3 and a client certificate.</summary>
    public GrpcChannel TlsChannel(TimeProvider? time = null, GrpcChannelOptions? options = null) =>
        GrpcChannel.ForTls("localhost", TlsPort, Certificates.ClientOptions, time ?? TimeProvider.System, options);

    /// <summary>Stops as an operator stops it, giving open calls a second.</summary>
    public async Task StopAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(patience.Token);
    }

    public async ValueTask DisposeAsync()
    {
        Echo.LetGo.TrySetResult();
        await StopAsync();
        await _app.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
