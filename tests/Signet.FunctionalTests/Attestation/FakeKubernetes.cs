using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Signet.Identity.X509;
using Signet.Server.Attestation;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.FunctionalTests.Attestation;

/// <summary>The three paths of Kubernetes' API that attestation asks, over HTTPS, with whatever tokens, pods and nodes the test puts in.</summary>
internal sealed class FakeKubernetes : IAsyncDisposable
{
    private const string OwnToken = "the server's own token";

    private readonly TestFolder _files = new();
    private readonly WebApplication _app;
    private readonly X509Certificate2 _certificate;

    private FakeKubernetes()
    {
        var authority = (CertificateForge.Authority("CN=cluster") with { NotBefore = DateTimeOffset.UtcNow.AddHours(-2), NotAfter = DateTimeOffset.UtcNow.AddHours(2) }).SignSelf();
        var server = (CertificateForge.Server() with { Names = ["ip:127.0.0.1"], NotBefore = DateTimeOffset.UtcNow.AddHours(-1), NotAfter = DateTimeOffset.UtcNow.AddHours(1) }).Sign(authority);
        _certificate = X509CertificateLoader.LoadCertificate(server.Certificate.Der.Span).CopyWithPrivateKey((ECDsa)server.Key);
        File.WriteAllText(_files.File("ca.crt"), Pem.Encode(authority.Certificate));
        File.WriteAllText(_files.File("token"), OwnToken + "\n");
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(_certificate)));
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    /// <summary>What TokenReview says of a token: its <c>status</c>.</summary>
    public ConcurrentDictionary<string, JsonNode> Tokens { get; } = new();

    /// <summary>Pods and nodes by the path at which they are found.</summary>
    public ConcurrentDictionary<string, JsonNode> Objects { get; } = new();

    /// <summary>Answers everything instead, when it is set.</summary>
    public Func<HttpContext, Task>? Instead { get; set; }

    /// <summary>The specifications of the token reviews that were asked for.</summary>
    public ConcurrentQueue<JsonNode> Reviews { get; } = new();

    public K8sClusterConfig Config => new()
    {
        ServiceAccounts = new HashSet<string> { "spire:spire-agent" },
        NodeLabels = ["zone"],
        PodLabels = ["app"],
        Server = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/"),
        CaFile = _files.File("ca.crt"),
        TokenFile = _files.File("token"),
    };

    public static async Task<FakeKubernetes> StartAsync()
    {
        var cluster = new FakeKubernetes();
        await cluster._app.StartAsync();
        cluster.Tokens["good"] = Status();
        cluster.Objects["/api/v1/namespaces/spire/pods/agent-1"] = JsonNode.Parse("""{"metadata":{"uid":"pod-uid","labels":{"app":"agent","secret":"x"}},"spec":{"nodeName":"node-1"},"status":{"hostIP":"10.0.0.7"}}""")!;
        cluster.Objects["/api/v1/nodes/node-1"] = JsonNode.Parse("""{"metadata":{"uid":"node-uid","labels":{"zone":"eu-1","secret":"x"}}}""")!;
        return cluster;
    }

    /// <summary>As a real cluster says it of a token that is bound to a pod.</summary>
    public static JsonNode Status(string user = "system:serviceaccount:spire:spire-agent", string audience = "spire-server", string? podUid = "pod-uid") => new JsonObject
    {
        ["authenticated"] = true,
        ["audiences"] = new JsonArray(audience),
        ["user"] = new JsonObject
        {
            ["username"] = user,
            ["extra"] = podUid is null
                ? null
                : new JsonObject { ["authentication.kubernetes.io/pod-name"] = new JsonArray("agent-1"), ["authentication.kubernetes.io/pod-uid"] = new JsonArray(podUid) },
        },
    };

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _certificate.Dispose();
        _files.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        if (Instead is { } instead)
        {
            await instead(context);
            return;
        }

        var path = context.Request.Path.Value!;
        if (context.Request.Headers.Authorization != $"Bearer {OwnToken}")
        {
            context.Response.StatusCode = 401;
        }
        else if (context.Request.Method == "POST" && path == "/apis/authentication.k8s.io/v1/tokenreviews")
        {
            var spec = (await JsonNode.ParseAsync(context.Request.Body))!["spec"]!;
            Reviews.Enqueue(spec);
            var status = Tokens.TryGetValue(spec["token"]!.GetValue<string>(), out var known) ? known.DeepClone() : new JsonObject { ["error"] = "invalid bearer token" };
            context.Response.StatusCode = 201;
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(new JsonObject { ["status"] = status }.ToJsonString()));
        }
        else if (context.Request.Method == "GET" && Objects.TryGetValue(path, out var found))
        {
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(found.ToJsonString()));
        }
        else
        {
            context.Response.StatusCode = 404;
        }
    }
}
