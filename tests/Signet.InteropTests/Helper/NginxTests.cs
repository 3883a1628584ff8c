using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Cli.Demo;
using Signet.Client;
using Signet.Client.Http;
using Signet.Client.Tls;
using Signet.Helper;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.InteropTests.Rpc;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Testing;

namespace Signet.InteropTests.Helper;

/// <summary>A server that knows nothing of SPIFFE lives from the helper's files.</summary>
public sealed class NginxTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(3)).Token;

    [Theory]
    [InlineData("signal", 10)]
    [InlineData("command", 2)]
    public async Task Nginx_serves_mutual_TLS_through_ten_rotations_and_no_request_fails(string how, int rotations)
    {
        using var folder = new TestFolder();
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var entry = await domain.RegisterAsync("/web");

        // 1. The helper writes; nginx is told once it runs.
        var (port, conf) = (DemoPorts.Take(1)[0], folder.File("nginx.conf"));
        var hook = how == "signal"
            ? $"{{signal: HUP, pidFile: \"{folder.File("nginx.pid")}\"}}"
            : $"{{command: [nginx, -e, \"{folder.File("error.log")}\", -c, \"{conf}\", -s, reload]}}";
        var config = ConfigDocument.Read(
            folder.File("helper.yaml"), $"socket: {domain.AgentSocket}\nfolder: identity\nx509: {{}}\nonChange: {hook}", new Dictionary<string, string>(),
            root => HelperConfig.Read(root, Places.TryChoose(folder.Path, false, null, out var places, out var problem) ? places : throw new InvalidOperationException(problem)));
        var host = HelperHost.Build(config, once: false, TimeProvider.System, Random.Shared.NextDouble, NullLoggerFactory.Instance);
        await using var helper = await RunningDaemon.StartAsync(host.Parts, host);
        await Eventually.IsTrueAsync(() => File.Exists(Path.Combine(config.Folder, "bundle.pem")), "the files");
        await File.WriteAllTextAsync(conf, Configuration(folder, config.Folder, port), _patience);
        await using var nginx = DemoProcess.Start("nginx", "nginx", ["-e", folder.File("error.log"), "-c", conf], folder.File("nginx.log"));
        await Eventually.IsTrueAsync(() => Peer.ListensAsync(port), "nginx listens");

        // 2. Clients ask without a pause, on connections that are kept and on new ones.
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        var presented = new HashSet<string>();
        var tls = new MutualTls(source, Authorizer.Exactly(SpiffeId.Of(TestTrustDomain.Name, "/web")), TimeProvider.System);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_patience);
        var served = 0;
        var load = new[] { true, true, false, false }.Select(keep => Task.Run(async () =>
        {
            using var client = new HttpClient(new MutualTlsHandler(tls));
            while (!stop.IsCancellationRequested)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"https://127.0.0.1:{port}/"));
                request.Headers.ConnectionClose = !keep;
                using var response = await client.SendAsync(request, _patience);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.Equal("SUCCESS", await response.Content.ReadAsStringAsync(_patience));
                Interlocked.Increment(ref served);
            }
        })).ToArray();

        // 3. So many certificates later every request has been answered. Another lifetime makes another certificate.
        while (presented.Count <= rotations)
        {
            var before = (presented.Count, served);
            await admin.UpdateEntryAsync(new Entry { Id = entry.Id, X509SvidTtl = 1800 + presented.Count }, new EntryMask { X509SvidTtl = true }, _patience);
            await Eventually.IsTrueAsync(
                async () =>
                {
                    presented.Add(await SerialAsync(tls, port));
                    return load.Any(task => task.IsFaulted) || (presented.Count > before.Count && Volatile.Read(ref served) > before.served);
                },
                $"rotation {presented.Count}");
            if (load.FirstOrDefault(task => task.IsFaulted) is { } failed)
            {
                await failed;
            }
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
        TestContext.Current.TestOutputHelper?.WriteLine($"{served} requests, {presented.Count - 1} rotations, none failed");
    }

    private static string Configuration(TestFolder folder, string identity, int port) => $$"""
        {{(Environment.UserName == "root" ? "user root;" : "")}}
        daemon off;
        worker_processes 1;
        error_log {{folder.File("error.log")}} warn;
        pid {{folder.File("nginx.pid")}};
        events { worker_connections 256; }
        http {
            client_body_temp_path {{folder.File("t1")}}; proxy_temp_path {{folder.File("t2")}}; fastcgi_temp_path {{folder.File("t3")}}; uwsgi_temp_path {{folder.File("t4")}}; scgi_temp_path {{folder.File("t5")}};
            access_log off;
            server {
                listen 127.0.0.1:{{port}} ssl;
                ssl_certificate {{identity}}/svid.pem;
                ssl_certificate_key {{identity}}/key.pem;
                ssl_client_certificate {{identity}}/bundle.pem;
                ssl_verify_client on;
                ssl_verify_depth 3;
                ssl_protocols TLSv1.2 TLSv1.3;
                location / { return 200 "$ssl_client_verify"; }
            }
        }
        """;

    /// <summary>Of the certificate that nginx shows to a new connection.</summary>
    private async Task<string> SerialAsync(MutualTls tls, int port)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port, _patience);
        await using var stream = await tls.ConnectAsync(new NetworkStream(socket, ownsSocket: true), "", _patience);
        return stream.RemoteCertificate!.GetSerialNumberString();
    }
}
