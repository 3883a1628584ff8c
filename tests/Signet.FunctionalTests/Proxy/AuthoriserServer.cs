using System.Collections.Concurrent;
using System.Net;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Signet.Hosting.Grpc;
using Signet.Rpc.Wire.Envoy.Auth;
using Signet.Rpc.Wire.Envoy.Core;
using Authorization = Signet.Rpc.Wire.Envoy.Auth.Authorization;

namespace Signet.FunctionalTests.Proxy;

/// <summary>An external authoriser over gRPC, in plaintext on loopback; the test's code answers.</summary>
internal sealed class AuthoriserServer : Authorization.AuthorizationBase, IAsyncDisposable
{
    private readonly Func<CheckRequest, Task<CheckResponse>> _answer;
    private readonly WebApplication _app;

    private AuthoriserServer(Func<CheckRequest, Task<CheckResponse>> answer)
    {
        _answer = answer;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.UseGrpcDefaults();
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        _app = builder.Build();
        _app.UseRouting();
        _app.MapGrpc(TimeProvider.System, new GrpcServerOptions(), services => services.Add(Authorization.Descriptor, Authorization.BindService(this)));
    }

    public ConcurrentQueue<AttributeContext> Questions { get; } = new();

    public IPEndPoint EndPoint { get; private set; } = null!;

    public static Task<AuthoriserServer> StartAsync(Func<CheckRequest, CheckResponse> answer) => StartAsync(question => Task.FromResult(answer(question)));

    public static async Task<AuthoriserServer> StartAsync(Func<CheckRequest, Task<CheckResponse>> answer)
    {
        var server = new AuthoriserServer(answer);
        await server._app.StartAsync();
        var address = server._app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single();
        server.EndPoint = new IPEndPoint(IPAddress.Loopback, new Uri(address).Port);
        return server;
    }

    public static CheckResponse Allow(params HeaderValueOption[] headers) =>
        new() { Status = new Signet.Rpc.Wire.GoogleRpc.Status(), OkResponse = new OkHttpResponse { Headers = { headers } } };

    public static CheckResponse Deny(int status = 0, string body = "", params HeaderValueOption[] headers) => new()
    {
        Status = new Signet.Rpc.Wire.GoogleRpc.Status { Code = (int)StatusCode.PermissionDenied, Message = "not today" },
        DeniedResponse = new DeniedHttpResponse
        {
            Status = new Signet.Rpc.Wire.Envoy.Type.HttpStatus { Code = (Signet.Rpc.Wire.Envoy.Type.StatusCode)status },
            Body = body,
            Headers = { headers },
        },
    };

    public static HeaderValueOption Header(string name, string value) => new() { Header = new HeaderValue { Key = name, Value = value } };

    public override Task<CheckResponse> Check(CheckRequest request, ServerCallContext context)
    {
        Questions.Enqueue(request.Attributes);
        return _answer(request).WaitAsync(context.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        using var atOnce = new CancellationTokenSource(TimeSpan.Zero);
        await _app.StopAsync(atOnce.Token);
        await _app.DisposeAsync();
    }
}
