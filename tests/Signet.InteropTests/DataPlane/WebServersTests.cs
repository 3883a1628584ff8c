using System.Net;
using Signet.Identity.X509;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.InteropTests.DataPlane;

/// <summary>Servers that know nothing of SPIFFE, called through a sidecar by DestinationRules with SIMPLE and MUTUAL.</summary>
public sealed class WebServersTests
{
    private const string Host = "orders.default.svc.cluster.local";
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    [Fact]
    public async Task Nginx_is_called_with_certificates_that_openssl_made_in_a_few_lines()
    {
        await using var mesh = new Sidecars();
        await Tool.DoAsync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", mesh.File("ca.key"), "-out", mesh.File("ca.pem"), "-subj", "/CN=office authority", "-days", "30"]);
        await IssueAsync(mesh, "server", Host);
        await IssueAsync(mesh, "client", "web");
        var port = Sidecars.Port();
        await NginxAsync(mesh, port, $"ssl_client_certificate {mesh.File("ca.pem")}; ssl_verify_client on;");
        mesh.SetPolicy(Sidecars.Strict + Rule($"mode: MUTUAL, clientCertificate: {mesh.File("client.pem")}, privateKey: {mesh.File("client.key")}, caCertificates: {mesh.File("ca.pem")}"));
        var web = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, port), "http");

        Assert.Equal($"200 CN=client|{Host}|TLSv1.3", await AskAsync(web));
        Assert.Equal($"200 CN=client|{Host}|TLSv1.3", await AskAsync(web));
        var line = await LineAsync(web);
        Assert.Equal(Host, line.GetProperty("destination").GetProperty("serverName").GetString());
        Assert.True(line.GetProperty("tls").GetProperty("mutual").GetBoolean());

        mesh.SetPolicy(Sidecars.Strict + Rule($"mode: SIMPLE, caCertificates: {mesh.File("ca.pem")}"));
        await Eventually.IsTrueAsync(async () => (await AskAsync(web)).StartsWith("400 ", StringComparison.Ordinal), "nginx asks for a certificate");
    }

    [Theory]
    [InlineData("good", null)]
    [InlineData("wrong authority", "PeerAuthorityUnknown")]
    [InlineData("expired", "PeerCertificateExpired")]
    [InlineData("wrong name", "PeerIdentityUnexpected")]
    public async Task Nginx_is_believed_for_what_its_certificate_says(string what, string? reason)
    {
        await using var mesh = new Sidecars();
        var authority = Authority("CN=web authority");
        var leaf = (CertificateForge.Server(what == "wrong name" ? "elsewhere.example" : Host) with { NotBefore = Now.AddDays(-2), NotAfter = what == "expired" ? Now.AddDays(-1) : Now.AddDays(1) })
            .Sign(what == "wrong authority" ? Authority("CN=other") : authority);
        await WriteAsync(mesh, "server", leaf);
        await File.WriteAllTextAsync(mesh.File("ca.pem"), Pem.Encode(authority.Certificate));
        var port = Sidecars.Port();
        await NginxAsync(mesh, port, "");
        mesh.SetPolicy(Sidecars.Strict + Rule($"mode: SIMPLE, caCertificates: {mesh.File("ca.pem")}"));
        var web = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, port), "http");

        Assert.StartsWith(reason is null ? $"200 |{Host}|" : "503 ", await AskAsync(web), StringComparison.Ordinal);
        Assert.Equal(reason, (await LineAsync(web)).GetProperty("response").GetProperty("flag").GetString());
    }

    [Theory]
    [InlineData("-tls1_3", true)]
    [InlineData("-tls1_3", false)]
    [InlineData("-tls1_2", true)]
    [InlineData("-tls1_2", false)]
    public async Task Openssl_that_wants_a_client_certificate_takes_ours_and_its_refusal_has_a_reason(string version, bool isMutual)
    {
        await using var mesh = new Sidecars();
        var authority = Authority("CN=web authority");
        await WriteAsync(mesh, "server", (CertificateForge.Server(Host) with { NotBefore = Now.AddDays(-2), NotAfter = Now.AddDays(1) }).Sign(authority));
        await WriteAsync(mesh, "client", (CertificateForge.Server("web") with { Subject = "CN=client", Purposes = [CertificateForge.ClientAuth], NotBefore = Now.AddDays(-2), NotAfter = Now.AddDays(1) }).Sign(authority));
        await File.WriteAllTextAsync(mesh.File("ca.pem"), Pem.Encode(authority.Certificate));
        var port = Sidecars.Port();
        await mesh.StartAsync(
            "openssl",
            ["s_server", "-accept", $"127.0.0.1:{port}", "-cert", mesh.File("server.pem"), "-key", mesh.File("server.key"), "-CAfile", mesh.File("ca.pem"), "-Verify", "3", "-verify_return_error", version, "-www", "-quiet"],
            port);
        mesh.SetPolicy(Sidecars.Strict + Rule(isMutual
            ? $"mode: MUTUAL, clientCertificate: {mesh.File("client.pem")}, privateKey: {mesh.File("client.key")}, caCertificates: {mesh.File("ca.pem")}"
            : $"mode: SIMPLE, caCertificates: {mesh.File("ca.pem")}"));
        var web = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, port), "http");

        var answer = await AskAsync(web);
        if (isMutual)
        {
            Assert.StartsWith("200 ", answer, StringComparison.Ordinal);
            return;
        }

        Assert.True(answer.StartsWith("502 ", StringComparison.Ordinal) || answer.StartsWith("503 ", StringComparison.Ordinal), answer);
        var line = await LineAsync(web);
        Assert.Contains(line.GetProperty("response").GetProperty("flag").GetString(), new[] { "HandshakeFailed", "UpstreamClosed" });
        Assert.Contains("alert", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    private static string Rule(string tls) =>
        $"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: orders, namespace: default}}\nspec: {{host: {Host}, trafficPolicy: {{tls: {{{tls}}}}}}}\n";

    private static ForgedCertificate Authority(string name) => (CertificateForge.Authority(name) with { NotBefore = Now.AddDays(-3), NotAfter = Now.AddDays(10) }).SignSelf();

    private static async Task WriteAsync(Sidecars mesh, string name, ForgedCertificate certificate)
    {
        await File.WriteAllTextAsync(mesh.File(name + ".pem"), Pem.Encode(certificate.Certificate));
        await File.WriteAllTextAsync(mesh.File(name + ".key"), Pem.EncodePrivateKey(certificate.Key));
    }

    private static async Task IssueAsync(Sidecars mesh, string name, string dns)
    {
        await Tool.DoAsync("openssl", ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", mesh.File(name + ".key"), "-out", mesh.File(name + ".csr"), "-subj", $"/CN={name}"]);
        await File.WriteAllTextAsync(mesh.File(name + ".ext"), $"subjectAltName=DNS:{dns}\n");
        await Tool.DoAsync("openssl", ["x509", "-req", "-in", mesh.File(name + ".csr"), "-CA", mesh.File("ca.pem"), "-CAkey", mesh.File("ca.key"), "-CAcreateserial", "-days", "10", "-extfile", mesh.File(name + ".ext"), "-out", mesh.File(name + ".pem")]);
    }

    private static async Task NginxAsync(Sidecars mesh, int port, string more)
    {
        var file = mesh.File("nginx.conf");
        await File.WriteAllTextAsync(file, $$"""
            {{(Environment.UserName == "root" ? "user root;" : "")}}
            daemon off;
            worker_processes 1;
            error_log {{mesh.File("nginx-error.log")}} warn;
            pid {{mesh.File("nginx.pid")}};
            events { worker_connections 256; }
            http {
                client_body_temp_path {{mesh.File("t1")}}; proxy_temp_path {{mesh.File("t2")}}; fastcgi_temp_path {{mesh.File("t3")}}; uwsgi_temp_path {{mesh.File("t4")}}; scgi_temp_path {{mesh.File("t5")}};
                access_log off;
                server {
                    listen 127.0.0.1:{{port}} ssl;
                    ssl_certificate {{mesh.File("server.pem")}};
                    ssl_certificate_key {{mesh.File("server.key")}};
                    ssl_protocols TLSv1.2 TLSv1.3;
                    {{more}}
                    location / { return 200 "$ssl_client_s_dn|$ssl_server_name|$ssl_protocol"; }
                }
            }
            """);
        await mesh.StartAsync("nginx", ["-e", mesh.File("nginx-error.log"), "-c", file], port);
    }

    /// <summary>What the access log says of the first request.</summary>
    private static async Task<System.Text.Json.JsonElement> LineAsync(Sidecar web)
    {
        await Eventually.IsTrueAsync(() => web.Log().Count > 0, "a line in the access log");
        return web.Log()[0];
    }

    /// <summary>The status and the body.</summary>
    private static async Task<string> AskAsync(Sidecar web)
    {
        using var http = new HttpClient();
        using var answer = await http.GetAsync(new Uri($"http://{web.EndPoint}/"));
        return $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}";
    }
}
