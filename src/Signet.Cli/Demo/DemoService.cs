using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Signet.Cli.Demo;

/// <summary>
/// One of the demo's small plaintext services: it answers who it is, and first asks the next one, if there is one. It knows nothing of
/// certificates.
/// </summary>
internal static class DemoService
{
    private const string RequestId = "x-request-id";
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <param name="name">What it calls itself.</param>
    /// <param name="listen">Where it listens, plaintext.</param>
    /// <param name="next">What it asks before it answers: method and address, or null.</param>
    public static async Task RunAsync(string name, IPEndPoint listen, (HttpMethod Method, Uri Address)? next, TimeProvider time, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = Timeout };
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(listen));
        await using var app = builder.Build();
        app.Run((RequestDelegate)(async context =>
        {
            var (status, below) = next is { } call ? await AskAsync(http, call.Method, call.Address, context.Request.Headers[RequestId], context.RequestAborted).ConfigureAwait(false) : (200, "");
            context.Response.StatusCode = status;
            await context.Response.WriteAsync(below.Length > 0 ? $"{name} > {below}" : name, context.RequestAborted).ConfigureAwait(false);
        }));
        await app.StartAsync(cancellationToken).ConfigureAwait(false);
        await Task.Delay(System.Threading.Timeout.InfiniteTimeSpan, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await app.StopAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private static async Task<(int Status, string Text)> AskAsync(HttpClient http, HttpMethod method, Uri address, string? requestId, CancellationToken cancellationToken)
    {
        try
        {
            // Passed on, so that a request can be found in every proxy's log.
            using var request = new HttpRequestMessage(method, address);
            request.Headers.TryAddWithoutValidation(RequestId, requestId);
            using var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (HttpRequestException e)
        {
            return (502, e.Message);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            return (504, e.Message);
        }
    }
}
