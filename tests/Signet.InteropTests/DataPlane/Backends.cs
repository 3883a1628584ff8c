using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;
using Signet.InteropTests.Http2;
using Signet.InteropTests.Rpc;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Servers that others wrote, each with the same file, behind one pair of proxies. Started once for all tests that only ask them questions.
/// </summary>
public sealed class Backends : IAsyncLifetime
{
    /// <summary>How long the file is that all of them have.</summary>
    public const int FileLength = 1_000_000;

    private readonly Dictionary<string, (IPEndPoint Server, IPEndPoint Proxy)> _all = [];
    private readonly Sidecars _mesh = new();
    private WebApplication? _kestrel;

    /// <summary>Where a server listens, and where the proxy that leads to it does.</summary>
    public (IPEndPoint Server, IPEndPoint Proxy) this[string name] => _all[name];

    /// <summary>The admin endpoint of the proxy that clients connect to.</summary>
    public Uri WebAdmin { get; private set; } = null!;

    /// <summary>The file that all of them have.</summary>
    public string FilePath => Scratch("files/file");

    /// <summary>Room for what a test writes.</summary>
    public string Scratch(string name) => _mesh.File(name);

    public async ValueTask DisposeAsync()
    {
        if (_kestrel is not null)
        {
            await _kestrel.DisposeAsync();
        }

        await _mesh.DisposeAsync();
    }

    public async ValueTask InitializeAsync()
    {
        _mesh.SetPolicy(Sidecars.Strict + """
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: no-forbidden, namespace: default}
            spec:
              action: DENY
              rules: [{to: [{operation: {paths: ["/forbidden", "*/Forbidden"]}}]}]
            """);
        Directory.CreateDirectory(Scratch("files"));
        Content.WriteFile(FilePath, FileLength);
        File.SetLastWriteTimeUtc(FilePath, new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        var python = Peer.Require("/usr/bin/python3", "python3");
        var node = Peer.Require("/usr/bin/node", "nodejs");
        Peer.Require("/usr/lib/python3/dist-packages/websockets/__init__.py", "python3-websockets");
        Peer.Require("/usr/lib/python3/dist-packages/grpc/__init__.py", "python3-grpcio");
        await Peer.RequireNodeModulesAsync();

        var ports = Enumerable.Range(0, 8).Select(_ => Sidecars.Port()).ToArray();
        string Script(string name) => Path.Combine(Peer.Scripts, name);
        await Task.WhenAll(
            NginxAsync(ports[0]),
            _mesh.StartAsync(python, [Script("http_server.py"), $"{ports[1]}", "HTTP/1.1", Scratch("files")], ports[1]),
            _mesh.StartAsync(python, [Script("http_server.py"), $"{ports[2]}", "HTTP/1.0", Scratch("files")], ports[2]),
            _mesh.StartAsync(node, [Script("http_server.mjs"), $"{ports[3]}", $"{ports[4]}", FilePath], ports[4]),
            _mesh.StartAsync(python, [Script("ws_server.py"), $"{ports[5]}"], ports[5]),
            _mesh.StartAsync(python, [Script("grpc_bytes.py"), "serve", $"{ports[6]}"], ports[6]),
            _mesh.StartAsync(node, [Script("grpc_bytes.mjs"), "serve", $"{ports[7]}"], ports[7]));
        var kestrel = await KestrelAsync();

        (string Name, IPEndPoint Server, string Protocol)[] servers =
        [
            ("nginx", At(ports[0]), "http"), ("python", At(ports[1]), "http"), ("python HTTP/1.0", At(ports[2]), "http"), ("node", At(ports[3]), "http"), ("node HTTP/2", At(ports[4]), "http2"),
            ("websockets", At(ports[5]), "auto"), ("grpcio", At(ports[6]), "grpc"), ("grpc-js", At(ports[7]), "grpc"), ("kestrel", kestrel, "http"),
        ];
        var (web, _, proxies) = await _mesh.PairAsync([.. servers.Select(server => (server.Server, server.Protocol))]);
        WebAdmin = new Uri($"http://127.0.0.1:{web.Admin}/");
        foreach (var (server, proxy) in servers.Zip(proxies))
        {
            _all[server.Name] = (server.Server, proxy);
        }
    }

    private static IPEndPoint At(int port) => new(IPAddress.Loopback, port);

    private async Task NginxAsync(int port)
    {
        var (nginx, config) = (Peer.Require("/usr/sbin/nginx", "nginx"), Scratch("nginx.conf"));
        await File.WriteAllTextAsync(config, $$"""
            {{(Environment.UserName == "root" ? "user root;" : "")}}
            daemon off;
            worker_processes 1;
            error_log {{Scratch("nginx-error.log")}} warn;
            pid {{Scratch("nginx.pid")}};
            events { worker_connections 256; }
            http {
                client_body_temp_path {{Scratch("t1")}}; proxy_temp_path {{Scratch("t2")}}; fastcgi_temp_path {{Scratch("t3")}}; uwsgi_temp_path {{Scratch("t4")}}; scgi_temp_path {{Scratch("t5")}};
                access_log off;
                default_type application/octet-stream;
                server {
                    listen 127.0.0.1:{{port}};
                    root {{Scratch("files")}};
                    client_max_body_size 0;
                }
            }
            """);
        await _mesh.StartAsync(nginx, ["-e", Scratch("nginx-error.log"), "-c", config], port);
    }

    /// <summary>ASP.NET Core: the file with everything that it knows of files, an echo, and WebSocket.</summary>
    private async Task<IPEndPoint> KestrelAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        _kestrel = builder.Build();
        _kestrel.UseWebSockets();
        _kestrel.Run(async context =>
        {
            if (context.WebSockets.IsWebSocketRequest)
            {
                await WebSocketEcho.ServeAsync(context);
            }
            else if (context.Request.Path == "/file" && (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method)))
            {
                var tag = new EntityTagHeaderValue("\"one\"");
                await Results.File(FilePath, "application/octet-stream", lastModified: File.GetLastWriteTimeUtc(FilePath), entityTag: tag, enableRangeProcessing: true).ExecuteAsync(context);
            }
            else if (context.Request.Path == "/echo" && HttpMethods.IsPost(context.Request.Method))
            {
                context.Response.ContentType = "application/octet-stream";
                await context.Request.Body.CopyToAsync(context.Response.Body);
            }
            else
            {
                context.Response.StatusCode = context.Request.Path == "/empty" ? 204 : 404;
            }
        });
        await _kestrel.StartAsync();
        return IPEndPoint.Parse(new Uri(_kestrel.Urls.Single()).Authority);
    }
}
