using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Signet.InteropTests.Rpc;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.InteropTests.Acme;

/// <summary>Let's Encrypt's ACME server for tests, with its DNS server: every name leads to this machine. Proves names over TLS on the port that it is told.</summary>
internal sealed class Pebble : IAsyncDisposable
{
    private readonly Process _server;
    private readonly Process _names;
    private readonly HttpClient _http;
    private readonly int _management;

    private Pebble(Process server, Process names, HttpClient http, int port, int management, int tlsPort, string caFile)
    {
        (_server, _names, _http, _management) = (server, names, http, management);
        (Directory, TlsPort, CaFile) = (new Uri($"https://localhost:{port}/dir"), tlsPort, caFile);
    }

    public Uri Directory { get; }

    /// <summary>Where it looks for challenges.</summary>
    public int TlsPort { get; }

    /// <summary>The authority of its own listener.</summary>
    public string CaFile { get; }

    /// <param name="folder">Where its files go.</param>
    /// <param name="nonceRejections">How many nonces in a hundred it refuses although they are good.</param>
    /// <param name="validitySeconds">How long its certificates hold.</param>
    public static async Task<Pebble> StartAsync(TestFolder folder, int nonceRejections, int validitySeconds)
    {
        var program = Peer.Require("/usr/bin/pebble", "pebble");
        var own = RpcTestCertificates.Create();
        var (port, management, tls, dns, names) = (FreePort(), FreePort(), FreePort(), FreePort(), FreePort());
        await File.WriteAllTextAsync(folder.File("pebble-ca.pem"), own.Authority.ExportCertificatePem());
        await File.WriteAllTextAsync(folder.File("pebble.pem"), own.Server.ExportCertificatePem());
        await File.WriteAllTextAsync(folder.File("pebble.key"), own.Server.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        await File.WriteAllTextAsync(
            folder.File("pebble.json"),
            $$"""
            {"pebble": {"listenAddress": "127.0.0.1:{{port}}", "managementListenAddress": "127.0.0.1:{{management}}", "certificate": "{{folder.File("pebble.pem")}}", "privateKey": "{{folder.File("pebble.key")}}",
             "httpPort": {{FreePort()}}, "tlsPort": {{tls}}, "ocspResponderURL": "", "externalAccountBindingRequired": false, "certificateValidityPeriod": {{validitySeconds}} } }
            """);
        var dnsServer = Start(
            "/usr/bin/pebble-challtestsrv", ["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-dns01", $"127.0.0.1:{dns}", "-management", $"127.0.0.1:{names}"]);
        var server = Start(program, ["-config", folder.File("pebble.json"), "-dnsserver", $"127.0.0.1:{dns}", "-strict"], ("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", $"{nonceRejections}"), ("PEBBLE_AUTHZREUSE", "0"));
        var http = new HttpClient(new SocketsHttpHandler { SslOptions = own.ClientOptions(withCertificate: false) });
        var pebble = new Pebble(server, dnsServer, http, port, management, tls, folder.File("pebble-ca.pem"));
        await Eventually.IsTrueAsync(pebble.AnswersAsync, "the ACME server");
        return pebble;
    }

    /// <summary>The root of what it issues.</summary>
    public async Task<X509Certificate2> RootAsync() => X509Certificate2.CreateFromPem(await _http.GetStringAsync(new Uri($"https://localhost:{_management}/roots/0")));

    public async ValueTask DisposeAsync()
    {
        foreach (var process in new[] { _server, _names })
        {
            Peer.Kill(process);
            await process.WaitForExitAsync();
            process.Dispose();
        }

        _http.Dispose();
    }

    private async Task<bool> AnswersAsync()
    {
        Assert.False(_server.HasExited, "the ACME server ended at once");
        try
        {
            return (await _http.GetAsync(Directory)).IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static Process Start(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        // Nobody reads what it says; it must not block on that.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$0\" \"$@\" >/dev/null 2>&1", program, .. arguments]);
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
