using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>The one path of Docker's API that attestation asks, on a Unix socket, with whatever containers the test puts in.</summary>
internal sealed class FakeEngine : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly WebApplication _app;
    private int _asked;

    private FakeEngine()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(Socket));
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    public string Socket => _folder.File("engine.sock");

    /// <summary>By ID.</summary>
    public ConcurrentDictionary<string, JsonNode> Containers { get; } = new();

    /// <summary>Answers everything instead, when it is set.</summary>
    public Func<HttpContext, Task>? Instead { get; set; }

    /// <summary>How often it was asked.</summary>
    public int Asked => Volatile.Read(ref _asked);

    public static async Task<FakeEngine> StartAsync()
    {
        var engine = new FakeEngine();
        await engine._app.StartAsync();
        return engine;
    }

    /// <summary>As an engine describes a container that runs.</summary>
    public static JsonNode Container(string id, int pid) => new JsonObject
    {
        ["Id"] = id,
        ["Image"] = "sha256:0123",
        ["State"] = new JsonObject { ["Running"] = true, ["Pid"] = pid },
        ["Config"] = new JsonObject
        {
            ["Image"] = "registry/web:1",
            ["Env"] = new JsonArray("PATH=/bin", "MODE=a=b"),
            ["Labels"] = new JsonObject { ["com.example.app"] = "web", ["number"] = 1 },
        },
    };

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _folder.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Interlocked.Increment(ref _asked);
        if (Instead is { } instead)
        {
            await instead(context);
            return;
        }

        if (context.Request.Path.Value?.Split('/') is ["", "containers", var id, "json"] && Containers.TryGetValue(id, out var found))
        {
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(found.ToJsonString()));
        }
        else
        {
            context.Response.StatusCode = 404;
        }
    }
}
