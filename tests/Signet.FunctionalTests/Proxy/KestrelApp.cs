using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Signet.FunctionalTests.Proxy;

/// <summary>An ASP.NET Core application in plaintext on loopback, in one version of HTTP.</summary>
internal sealed class KestrelApp : IAsyncDisposable
{
    private readonly WebApplication _app;

    private KestrelApp(WebApplication app) => _app = app;

    public IPEndPoint EndPoint { get; private set; } = null!;

    /// <summary>Requests that arrived: version, method, path, and fields as they came.</summary>
    public ConcurrentQueue<(string Line, IReadOnlyDictionary<string, string> Fields)> Requests { get; } = new();

    /// <summary>Requests that the client gave up.</summary>
    public ConcurrentQueue<string> Aborted { get; } = new();

    /// <summary>The local ports of clients that connected.</summary>
    public ConcurrentDictionary<string, int> Connections { get; } = new();

    public static async Task<KestrelApp> StartAsync(HttpProtocols protocols, RequestDelegate? handle = null, Action<KestrelServerOptions>? change = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            change?.Invoke(kestrel);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = protocols);
        });
        var app = new KestrelApp(builder.Build());
        app._app.Run(async context =>
        {
            var path = context.Request.Path.Value!;
            app.Connections.AddOrUpdate(context.Connection.Id, 1, (_, count) => count + 1);
            app.Requests.Enqueue(($"{context.Request.Protocol} {context.Request.Method} {path}", context.Request.Headers.ToDictionary(field => field.Key.ToLowerInvariant(), field => field.Value.ToString())));
            using var registration = context.RequestAborted.Register(() => app.Aborted.Enqueue(path));
            await (handle ?? EchoAsync)(context);
        });
        await app._app.StartAsync();
        app.EndPoint = new(IPAddress.Loopback, new Uri(app._app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single()).Port);
        return app;
    }

    /// <summary>Sends the body back as it comes, and trailers after it where there can be any.</summary>
    public static async Task EchoAsync(HttpContext context)
    {
        if (int.TryParse(context.Request.Path.Value!.Trim('/'), out var status))
        {
            context.Response.StatusCode = status;
            return;
        }

        if (context.Request.ContentLength is { } length && context.Request.Query.ContainsKey("length"))
        {
            context.Response.ContentLength = length;
        }

        var hasTrailers = context.Features.Get<IHttpResponseTrailersFeature>() is not null && !context.Request.Query.ContainsKey("length");
        if (hasTrailers)
        {
            context.Response.DeclareTrailer("x-sum");
        }

        await context.Response.StartAsync();
        await context.Response.Body.FlushAsync();
        var buffer = new byte[16 * 1024];
        var sum = 0L;
        while (await context.Request.Body.ReadAsync(buffer) is > 0 and var read)
        {
            sum += read;
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, read));
            await context.Response.Body.FlushAsync();
        }

        if (hasTrailers)
        {
            context.Response.AppendTrailer("x-sum", sum.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var moment = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(moment.Token);
        await _app.DisposeAsync();
    }
}
