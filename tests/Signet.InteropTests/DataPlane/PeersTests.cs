using System.Net;
using System.Net.Sockets;
using System.Text;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>Programs that know nothing of Signet, on the other end of its mutual TLS: as clients of an inbound port and as servers of an outbound one.</summary>
public sealed class PeersTests
{
    private const string Web = "example.org/ns/default/sa/web";

    [Theory]
    [InlineData("-tls1_3")]
    [InlineData("-tls1_2")]
    public async Task Openssl_calls_in_and_is_refused_without_a_certificate(string version)
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo(async stream =>
        {
            // Once and no more, or openssl would wait for the next.
            var line = new byte[64];
            await stream.WriteAsync(line.AsMemory(0, await stream.ReadAsync(line)));
        });
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");
        var web = mesh.WriteIdentity("web");
        string[] common = ["s_client", "-connect", $"{orders.EndPoint}", "-quiet", version, "-CAfile", $"{web}/bundle.pem", "-verify_return_error"];

        var (_, answer) = await Tool.RunAsync("timeout", ["60", "openssl", .. common, "-cert", $"{web}/chain.pem", "-cert_chain", $"{web}/chain.pem", "-key", $"{web}/key.pem"], "hello\n");
        var (_, refused) = await Tool.RunAsync("timeout", ["60", "openssl", .. common], "secret\n");

        Assert.Contains("hello", answer, StringComparison.Ordinal);
        Assert.Contains("alert", refused, StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => orders.Log().Any(line => line.GetProperty("response").GetProperty("flag").GetString() == "PeerCertificateMissing"), "the refusal is logged");
    }

    [Fact]
    public async Task Openssl_is_told_what_is_wrong_with_its_certificate()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");
        var now = DateTimeOffset.UtcNow;
        const string path = "/ns/default/sa/web";
        (string Version, X509Svid? Svid, int Alert, string Reason)[] cases =
        [
            ("-tls1_3", mesh.Authority.SvidBelowAnotherAuthority(path), 42, "PeerCertificateInvalid"),
            ("-tls1_3", mesh.Authority.Svid(path, now.AddHours(-2), now.AddMinutes(-5)), 45, "PeerCertificateExpired"),
            ("-tls1_2", mesh.Authority.Svid(path, now.AddHours(-2), now.AddMinutes(-5)), 45, "PeerCertificateExpired"),
            ("-tls1_3", new TestAuthority(now).Svid(path), 48, "PeerAuthorityUnknown"),
            ("-tls1_2", new TestAuthority(now).Svid(path), 48, "PeerAuthorityUnknown"),
            ("-tls1_3", new TestAuthority(now, "elsewhere.example").Svid(path), 48, "PeerTrustDomainUnknown"),
            ("-tls1_3", null, 116, "PeerCertificateMissing"),
        ];

        await Task.WhenAll(cases.Select(async (one, i) =>
        {
            var folder = one.Svid is null ? null : mesh.WriteIdentity($"client-{i}", one.Svid);
            string[] certificate = folder is null ? [] : ["-cert", $"{folder}/chain.pem", "-cert_chain", $"{folder}/chain.pem", "-key", $"{folder}/key.pem"];
            var (_, said) = await Tool.RunAsync("timeout", ["60", "openssl", "s_client", "-connect", $"{orders.EndPoint}", "-quiet", one.Version, .. certificate], "secret\n");
            Assert.Contains($"SSL alert number {one.Alert}", said, StringComparison.Ordinal);
        }));
        foreach (var reason in cases.GroupBy(one => one.Reason))
        {
            await Eventually.IsTrueAsync(() => orders.Log().Count(line => line.GetProperty("response").GetProperty("flag").GetString() == reason.Key) == reason.Count(), reason.Key);
        }

        Assert.Equal(0, echo.Open);
    }

    [Fact]
    public async Task Openssl_serves_and_its_tickets_may_come_in_pieces_while_the_workload_writes()
    {
        await using var mesh = new Sidecars();
        var orders = mesh.WriteIdentity("orders");
        var port = Sidecars.Port();
        await mesh.StartAsync(
            "openssl",
            [
                "s_server", "-accept", $"127.0.0.1:{port}", "-cert", $"{orders}/chain.pem", "-cert_chain", $"{orders}/chain.pem", "-key", $"{orders}/key.pem", "-CAfile", $"{orders}/bundle.pem",
                "-Verify", "3", "-verify_return_error", "-tls1_3", "-max_send_frag", "512", "-rev", "-quiet",
            ],
            port);
        await using var meddler = Meddler.ByteByByte(new IPEndPoint(IPAddress.Loopback, port));
        var web = await mesh.OutboundAsync(meddler.EndPoint, "tcp");
        for (var i = 0; i < 5; i++)
        {
            using var socket = await web.ConnectAsync();
            var back = new StringBuilder();
            var buffer = new byte[64];
            for (var line = 0; line < 20; line++)
            {
                await socket.SendAsync(Encoding.ASCII.GetBytes($"hello {line:d2}\n"));
                await Task.Yield();
            }

            while (back.Length < 20 * 9 && await socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(30)) is > 0 and var read)
            {
                back.Append(Encoding.ASCII.GetString(buffer, 0, read));
            }

            Assert.Equal(string.Concat(Enumerable.Range(0, 20).Select(line => new string([.. $"hello {line:d2}".Reverse()]) + "\n")), back.ToString());
        }
    }

    [Fact]
    public async Task The_workload_writes_while_half_a_ticket_has_arrived()
    {
        await using var mesh = new Sidecars();
        var orders = mesh.WriteIdentity("orders");
        var port = Sidecars.Port();
        await mesh.StartAsync(
            "openssl",
            [
                "s_server", "-accept", $"127.0.0.1:{port}", "-cert", $"{orders}/chain.pem", "-cert_chain", $"{orders}/chain.pem", "-key", $"{orders}/key.pem", "-CAfile", $"{orders}/bundle.pem",
                "-Verify", "3", "-verify_return_error", "-tls1_3", "-max_send_frag", "512", "-rev", "-quiet",
            ],
            port);

        // The ticket needs two records, since it carries the client's certificate; the second waits until the workload's bytes have gone by.
        const byte applicationData = 23;
        var (clientRecords, ticketRecords) = (0, 0);
        var hasFirstHalf = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hasWritten = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var meddler = Meddler.Records(new IPEndPoint(IPAddress.Loopback, port), async (toServer, _, record) =>
        {
            if (toServer && record[0] == applicationData)
            {
                Interlocked.Increment(ref clientRecords);
                if (hasFirstHalf.Task.IsCompleted)
                {
                    hasWritten.TrySetResult();
                }
            }
            else if (record[0] == applicationData && Volatile.Read(ref clientRecords) > 0 && ++ticketRecords == 2)
            {
                hasFirstHalf.TrySetResult();
                await hasWritten.Task;
            }

            return record;
        });
        var web = await mesh.OutboundAsync(meddler.EndPoint, "tcp");
        using var socket = await web.ConnectAsync();
        await socket.SendAsync("a"u8.ToArray());
        await hasFirstHalf.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await socket.SendAsync("b\n"u8.ToArray());
        try
        {
            var back = new byte[3];
            await using var stream = new NetworkStream(socket);
            await stream.ReadExactlyAsync(back).AsTask().WaitAsync(TimeSpan.FromSeconds(10));
            Assert.Equal("ba\n", Encoding.ASCII.GetString(back));
        }
        finally
        {
            hasWritten.TrySetResult();
        }
    }

    [Fact]
    public async Task Curl_calls_in()
    {
        await using var mesh = new Sidecars();
        await using var app = new Echo(AnswerAsync);
        var orders = await mesh.InboundAsync(app.EndPoint, "http");
        var web = mesh.WriteIdentity("web");

        // -k: a workload's name is a URI, which curl does not look for.
        string[] arguments = ["-sSk", "--http1.1", "--cert", $"{web}/chain.pem", "--key", $"{web}/key.pem", $"https://{orders.EndPoint}/a", $"https://{orders.EndPoint}/b"];
        Assert.Equal("hellohello", await Tool.DoAsync("curl", arguments));
        await Eventually.IsTrueAsync(() => orders.Log().Count(line => Principal(line, "source") == Web && line.GetProperty("response").GetProperty("code").ValueKind != System.Text.Json.JsonValueKind.Null) == 2, "both requests are logged");

        var (exit, refused) = await Tool.RunAsync("curl", ["-sSk", $"https://{orders.EndPoint}/"]);
        Assert.True(exit != 0, refused);
    }

    [Fact]
    public async Task Nginx_calls_in_and_serves()
    {
        await using var mesh = new Sidecars();
        await using var app = new Echo(AnswerAsync);
        await using var echo = new Echo();
        var (http, tcp) = (await mesh.InboundAsync(app.EndPoint, "http", "orders"), await mesh.InboundAsync(echo.EndPoint, "tcp", "ledger"));
        var (web, peer) = (mesh.WriteIdentity("nginx"), mesh.WriteIdentity("payments"));
        int[] ports = [Sidecars.Port(), Sidecars.Port(), Sidecars.Port(), Sidecars.Port()];
        await NginxAsync(mesh, ports[0], $$"""
            stream {
                server {
                    listen 127.0.0.1:{{ports[0]}};
                    proxy_pass {{tcp.EndPoint}};
                    proxy_ssl on;
                    proxy_ssl_certificate {{web}}/chain.pem;
                    proxy_ssl_certificate_key {{web}}/key.pem;
                    proxy_ssl_protocols TLSv1.2 TLSv1.3;
                    proxy_ssl_session_reuse on;
                }
                server {
                    listen 127.0.0.1:{{ports[1]}} ssl;
                    proxy_pass {{echo.EndPoint}};
                    ssl_certificate {{peer}}/chain.pem;
                    ssl_certificate_key {{peer}}/key.pem;
                    ssl_client_certificate {{peer}}/bundle.pem;
                    ssl_verify_client on;
                    ssl_verify_depth 3;
                }
            }
            http {
                access_log off;
                server {
                    listen 127.0.0.1:{{ports[2]}};
                    location / {
                        proxy_pass https://{{http.EndPoint}};
                        proxy_http_version 1.1;
                        proxy_set_header Host orders;
                        proxy_ssl_certificate {{web}}/chain.pem;
                        proxy_ssl_certificate_key {{web}}/key.pem;
                        proxy_ssl_session_reuse on;
                    }
                }
                server {
                    listen 127.0.0.1:{{ports[3]}} ssl;
                    ssl_protocols TLSv1.2 TLSv1.3;
                    ssl_certificate {{peer}}/chain.pem;
                    ssl_certificate_key {{peer}}/key.pem;
                    ssl_client_certificate {{peer}}/bundle.pem;
                    ssl_verify_client on;
                    ssl_verify_depth 3;
                    location / { return 200 hello; }
                }
            }
            """);
        var outTcp = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, ports[1]), "tcp", "web");
        var outHttp = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, ports[3]), "http", "shop");

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("hello", await SayAsync(ports[0], "hello"));
            Assert.Equal("hello", await SayAsync(outTcp.EndPoint.Port, "hello"));
            Assert.Equal("hello", await Tool.DoAsync("curl", ["-sS", $"http://127.0.0.1:{ports[2]}/"]));
            Assert.Equal("hello", await Tool.DoAsync("curl", ["-sS", $"http://{outHttp.EndPoint}/"]));
        }

        await Eventually.IsTrueAsync(
            () => tcp.Log().Count(line => Principal(line, "source") == "example.org/ns/default/sa/nginx") >= 3
                && outTcp.Log().Count(line => Principal(line, "destination") == "example.org/ns/default/sa/payments") >= 3,
            "all connections are logged with their peers");
        Assert.Contains(tcp.Log(), line => line.GetProperty("tls").GetProperty("resumed").GetBoolean());
    }

    [Fact]
    public async Task HAProxy_calls_in_and_serves()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp", "orders");
        var (web, peer) = (mesh.WriteIdentity("haproxy"), mesh.WriteIdentity("payments"));
        int[] ports = [Sidecars.Port(), Sidecars.Port()];
        await System.IO.File.WriteAllTextAsync(mesh.File("haproxy.cfg"), $"""
            global
              maxconn 1000
            defaults
              mode tcp
              timeout connect 5s
              timeout client 30s
              timeout server 30s
            listen in
              bind 127.0.0.1:{ports[0]}
              server orders {orders.EndPoint} ssl crt {web}/all.pem ca-file {web}/bundle.pem verify required alpn istio
            listen out
              bind 127.0.0.1:{ports[1]} ssl crt {peer}/all.pem ca-file {peer}/bundle.pem verify required
              server echo {echo.EndPoint}

            """);
        await mesh.StartAsync("haproxy", ["-db", "-f", mesh.File("haproxy.cfg")], ports[0]);
        var outbound = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, ports[1]), "tcp", "web");

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("hello", await SayAsync(ports[0], "hello"));
            Assert.Equal("hello", await SayAsync(outbound.EndPoint.Port, "hello"));
        }

        await Eventually.IsTrueAsync(
            () => orders.Log().Count(line => Principal(line, "source") == "example.org/ns/default/sa/haproxy") >= 3
                && outbound.Log().Count(line => Principal(line, "destination") == "example.org/ns/default/sa/payments") >= 3,
            "all connections are logged with their peers");
    }

    [Fact]
    public async Task Nginx_with_a_certificate_of_a_stranger_is_refused_on_either_side()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");
        var stranger = mesh.WriteIdentity("stranger", new TestAuthority(DateTimeOffset.UtcNow).Svid("/ns/default/sa/web"));
        int[] ports = [Sidecars.Port(), Sidecars.Port()];
        await NginxAsync(mesh, ports[0], $$"""
            stream {
                server {
                    listen 127.0.0.1:{{ports[0]}};
                    proxy_pass {{orders.EndPoint}};
                    proxy_ssl on;
                    proxy_ssl_certificate {{stranger}}/chain.pem;
                    proxy_ssl_certificate_key {{stranger}}/key.pem;
                }
                server {
                    listen 127.0.0.1:{{ports[1]}} ssl;
                    proxy_pass {{echo.EndPoint}};
                    ssl_certificate {{stranger}}/chain.pem;
                    ssl_certificate_key {{stranger}}/key.pem;
                }
            }
            """);
        var outbound = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, ports[1]), "tcp");

        Assert.Equal("", await SayAsync(ports[0], "secret"));
        Assert.Equal("", await SayAsync(outbound.EndPoint.Port, "secret"));
        await Eventually.IsTrueAsync(
            () => new[] { orders, outbound }.All(side => side.Log().Any(line => line.GetProperty("response").GetProperty("flag").GetString() == "PeerAuthorityUnknown")), "both say why");
    }

    private static async Task NginxAsync(Sidecars mesh, int port, string blocks)
    {
        var file = mesh.File("nginx.conf");
        await System.IO.File.WriteAllTextAsync(file, $$"""
            {{(Environment.UserName == "root" ? "user root;" : "")}}
            load_module /usr/lib/nginx/modules/ngx_stream_module.so;
            daemon off;
            worker_processes 1;
            error_log {{mesh.File("nginx-error.log")}} warn;
            pid {{mesh.File("nginx.pid")}};
            events { worker_connections 256; }

            """ + blocks.Replace("http {", $"http {{ client_body_temp_path {mesh.File("t1")}; proxy_temp_path {mesh.File("t2")}; fastcgi_temp_path {mesh.File("t3")}; uwsgi_temp_path {mesh.File("t4")}; scgi_temp_path {mesh.File("t5")};"));
        await mesh.StartAsync("nginx", ["-e", mesh.File("nginx-error.log"), "-c", file], port);
    }

    /// <summary>What comes back until as much has come back, or the connection is over.</summary>
    private static async Task<string> SayAsync(int port, string text)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(text));
            var buffer = new byte[text.Length];
            var read = await client.GetStream().ReadAtLeastAsync(buffer, text.Length, throwOnEndOfStream: false).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            return Encoding.ASCII.GetString(buffer, 0, read);
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static string? Principal(System.Text.Json.JsonElement line, string side) => line.GetProperty(side).GetProperty("principal").GetString();

    /// <summary>An HTTP server as small as they get: a request without a body, an answer, again.</summary>
    private static async Task AnswerAsync(NetworkStream stream)
    {
        using var reader = new StreamReader(stream, Encoding.Latin1, leaveOpen: true);
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.Length == 0)
            {
                await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"u8.ToArray());
            }
        }
    }
}
