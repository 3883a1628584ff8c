using System.Net;
using System.Security.Claims;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.AspNetCore;
using Signet.Client;
using Signet.Hosting.Grpc;
using Signet.Rpc.Wire.Health;

namespace Signet.FunctionalTests.AspNetCore;

/// <summary>A small ASP.NET Core application behind mutual TLS on loopback.</summary>
internal sealed class MutualTlsApp : IAsyncDisposable
{
    private readonly WebApplication _app;

    private MutualTlsApp(WebApplication app) => _app = app;

    public Uri Address { get; private init; } = null!;

    /// <summary>What the answer of <c>/slow</c> waits for after its first byte.</summary>
    public TaskCompletionSource SecondHalf { get; private init; } = null!;

    /// <param name="source">Its identity.</param>
    /// <param name="authorizer">Who may connect.</param>
    /// <param name="policies">Authorization policies; each guards the path of its name.</param>
    /// <param name="time">What the scheme takes for the time.</param>
    public static async Task<MutualTlsApp> StartAsync(
        IX509Source source, Authorizer authorizer, IReadOnlyDictionary<string, Action<AuthorizationPolicyBuilder>>? policies = null, TimeProvider? time = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http1AndHttp2;
            listen.UseMutualTls(source, authorizer, TimeProvider.System);
        }));
        builder.Services.AddSingleton(time ?? TimeProvider.System);
        builder.Services.AddAuthentication(SpiffeAuthentication.Scheme).AddSpiffe();
        var authorization = builder.Services.AddAuthorizationBuilder();
        foreach (var (name, policy) in policies ?? new Dictionary<string, Action<AuthorizationPolicyBuilder>>())
        {
            authorization.AddPolicy(name, policy);
        }

        var app = builder.Build();
        app.MapGet("/", (ClaimsPrincipal user, HttpContext http) => $"{user.Identity?.Name}|{user.FindFirstValue(SpiffeClaims.TrustDomain)}|{http.Request.Protocol}|{http.Connection.Id}");
        var second = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        app.MapGet("/slow", async (HttpContext http) =>
        {
            await http.Response.WriteAsync("a");
            await http.Response.Body.FlushAsync();
            await second.Task;
            await http.Response.WriteAsync("b");
        });
        var health = new GrpcHealthService();
        health.Set("", HealthCheckResponse.Types.ServingStatus.Serving);
        app.MapGrpc(TimeProvider.System, new GrpcServerOptions(), services => services.Add(Health.Descriptor, Health.BindService(health)));
        foreach (var name in policies?.Keys ?? [])
        {
            app.MapGet($"/{name}", () => "ok").RequireAuthorization(name);
        }

        await app.StartAsync();
        var port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;
        return new MutualTlsApp(app) { SecondHalf = second, Address = new Uri($"https://127.0.0.1:{port}/") };
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }
}
