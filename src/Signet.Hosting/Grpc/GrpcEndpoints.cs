using System.Collections.Frozen;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Grpc.Calls;

namespace Signet.Hosting.Grpc;

/// <summary>gRPC services on Kestrel.</summary>
public static class GrpcEndpoints
{
    private static readonly TimeSpan KeepAliveInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Serves gRPC on the application's HTTP/2 endpoints: <c>POST /{service}/{method}</c>, matched exactly. A path of that shape
    /// which no other endpoint claims answers UNIMPLEMENTED. Once per application.
    /// </summary>
    /// <param name="endpoints">The application.</param>
    /// <param name="time">Judges deadlines.</param>
    /// <param name="options">Limits.</param>
    /// <param name="add">Adds the services.</param>
    public static IEndpointConventionBuilder MapGrpc(
        this IEndpointRouteBuilder endpoints, TimeProvider time, GrpcServerOptions options, Action<GrpcServices> add)
    {
        var services = new GrpcServices(options);
        add(services);
        var methods = services.Methods.ToFrozenDictionary(StringComparer.Ordinal);
        var names = services.Names.ToFrozenSet(StringComparer.Ordinal);
        var server = new CallServer(
            time,
            endpoints.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger("Signet.Grpc"),
            endpoints.ServiceProvider.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None);
        return endpoints.MapPost("/{service}/{method}", (RequestDelegate)(http =>
        {
            var path = http.Request.Path.Value!;
            return methods.TryGetValue(path, out var method)
                ? server.RunAsync(http, method)
                : server.RefuseAsync(http, new Status(StatusCode.Unimplemented, names.Contains(ServiceOf(path))
                    ? "the service has no such method"
                    : "there is no such service here"));
        }));
    }

    /// <summary>Sets what gRPC needs of Kestrel: pings that find dead peers, and no product name in the answers.</summary>
    public static KestrelServerOptions UseGrpcDefaults(this KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.Http2.KeepAlivePingDelay = KeepAliveInterval;
        kestrel.Limits.Http2.KeepAlivePingTimeout = KeepAliveTimeout;
        return kestrel;
    }

    /// <summary>The HTTP side of a call.</summary>
    /// <exception cref="InvalidOperationException">The call does not come from Kestrel.</exception>
    public static HttpContext GetHttpContext(this ServerCallContext context) =>
        (context as HttpServerCallContext)?.Http ?? throw new InvalidOperationException("this call has no HTTP side");

    /// <summary>Has a filter or handler told how its call ended, once the handler is done and before the caller is told. Those who asked are told in turn.</summary>
    /// <exception cref="InvalidOperationException">The call does not come from Kestrel.</exception>
    public static void OnEnd(this ServerCallContext context, Func<Status, ValueTask> told)
    {
        var call = context as HttpServerCallContext ?? throw new InvalidOperationException("this call has no HTTP side");
        call.Ended = call.Ended is not { } first ? told : async status =>
        {
            await first(status).ConfigureAwait(false);
            await told(status).ConfigureAwait(false);
        };
    }

    /// <inheritdoc cref="OnEnd(ServerCallContext, Func{Status, ValueTask})"/>
    public static void OnEnd(this ServerCallContext context, Action<Status> told) => context.OnEnd(status =>
    {
        told(status);
        return ValueTask.CompletedTask;
    });

    private static string ServiceOf(string path) => path[1..path.LastIndexOf('/')];
}
