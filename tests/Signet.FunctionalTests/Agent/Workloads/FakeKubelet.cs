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
using Signet.Agent.Attestation.Workload.Containers;
using Signet.Identity.X509;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>The kubelet's list of pods, over HTTPS with a token, or without either on a read-only port.</summary>
internal sealed class FakeKubelet : IAsyncDisposable
{
    private readonly TestFolder _files = new();
    private readonly X509Certificate2 _certificate;
    private readonly WebApplication _app;
    private int _asked;

    private FakeKubelet(bool isSecure)
    {
        var authority = (CertificateForge.Authority("CN=cluster") with { NotBefore = DateTimeOffset.UtcNow.AddHours(-2), NotAfter = DateTimeOffset.UtcNow.AddHours(2) }).SignSelf();
        var server = (CertificateForge.Server() with { Names = ["dns:node-1"], NotBefore = DateTimeOffset.UtcNow.AddHours(-1), NotAfter = DateTimeOffset.UtcNow.AddHours(1) }).Sign(authority);
        _certificate = X509CertificateLoader.LoadCertificate(server.Certificate.Der.Span).CopyWithPrivateKey((ECDsa)server.Key);
        File.WriteAllText(_files.File("ca.crt"), Pem.Encode(authority.Certificate));
        File.WriteAllText(_files.File("kubelet.crt"), Pem.Encode(server.Certificate));
        File.WriteAllText(_files.File("token"), "token-of-the-agent\n");
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (isSecure)
            {
                listen.UseHttps(_certificate);
            }
        }));
        _app = builder.Build();
        _app.Run(AnswerAsync);
        IsSecure = isSecure;
    }

    public bool IsSecure { get; }

    public JsonArray Pods { get; } = [];

    /// <summary>Answers everything instead, when it is set.</summary>
    public Func<HttpContext, Task>? Instead { get; set; }

    public int Asked => Volatile.Read(ref _asked);

    public KubeletConfig Config => new()
    {
        Kubelet = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/"),
        CaFile = _files.File("ca.crt"),
        TokenFile = _files.File("token"),
        Patience = TimeSpan.FromSeconds(10),
    };

    public string OwnCertificate => _files.File("kubelet.crt");

    public static async Task<FakeKubelet> StartAsync(bool isSecure = true)
    {
        var kubelet = new FakeKubelet(isSecure);
        await kubelet._app.StartAsync();
        return kubelet;
    }

    public static JsonNode Pod(string uid, string name, params string[] containers) => new JsonObject
    {
        ["metadata"] = new JsonObject
        {
            ["uid"] = uid,
            ["name"] = name,
            ["namespace"] = "shop",
            ["labels"] = new JsonObject { ["app"] = name },
            ["ownerReferences"] = new JsonArray(new JsonObject { ["kind"] = "ReplicaSet", ["name"] = "rs", ["uid"] = "rs-uid" }),
        },
        ["spec"] = new JsonObject { ["serviceAccountName"] = "web", ["nodeName"] = "node-1" },
        ["status"] = new JsonObject
        {
            ["containerStatuses"] = new JsonArray([.. containers.Select(id => (JsonNode)new JsonObject
            {
                ["name"] = "main", ["containerID"] = $"containerd://{id}", ["image"] = "registry/web:1", ["imageID"] = "registry/web@sha256:1",
            })]),
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
        Interlocked.Increment(ref _asked);
        if (Instead is { } instead)
        {
            await instead(context);
        }
        else if (IsSecure && context.Request.Headers.Authorization != "Bearer token-of-the-agent")
        {
            context.Response.StatusCode = 401;
        }
        else if (context.Request.Path == "/pods")
        {
            string text;
            lock (Pods)
            {
                text = new JsonObject { ["kind"] = "PodList", ["items"] = Pods.DeepClone() }.ToJsonString();
            }

            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text));
        }
        else
        {
            context.Response.StatusCode = 404;
        }
    }
}
