using System.Net;
using System.Net.Sockets;
using System.Text;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Between two proxies there is ciphertext or nothing, whatever is missing: a packet capture is the witness. Needs the right to capture
/// (CAP_NET_RAW); without it these tests are skipped and say so.
/// </summary>
public sealed class PlaintextTests
{
    private const string Marker = "not-for-other-eyes-7f3a91";

    [Fact]
    public async Task The_witness_sees_plaintext_where_a_rule_asks_for_it_and_ciphertext_otherwise()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var (web, orders) = await mesh.PairAsync(echo.EndPoint, "tcp");

        Assert.False(await SeesMarkerAsync(mesh, orders.EndPoint.Port, async () => Assert.Equal(Marker, await SayAsync(web))));

        mesh.SetPolicy("""
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: mesh, namespace: istio-system}
            spec: {mtls: {mode: DISABLE}}
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: plain, namespace: default}
            spec: {host: orders.default.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}
            """);
        Assert.True(await SeesMarkerAsync(mesh, orders.EndPoint.Port, () => Eventually.IsTrueAsync(
            async () => await SayAsync(web) == Marker && web.Log() is [.., var last] && !last.GetProperty("tls").GetProperty("mutual").GetBoolean(), "plaintext, as asked for")));
    }

    [Fact]
    public async Task Nothing_is_sent_before_there_is_a_certificate()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");
        var web = await mesh.OutboundAsync(orders.EndPoint, "tcp", identity: $"{{socket: \"unix:{mesh.File("no-agent.sock")}\"}}");

        Assert.False(await SeesMarkerAsync(mesh, orders.EndPoint.Port, async () => Assert.Equal("", await SayAsync(web))));
        await RefusedAsync(web, "WaitingForSvid");
    }

    [Fact]
    public async Task Nothing_is_sent_once_the_certificate_has_expired_and_nobody_renews_it()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var (web, orders) = await mesh.PairAsync(echo.EndPoint, "tcp");
        mesh.WriteIdentity("web", mesh.Authority.Svid("/ns/default/sa/web", DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddSeconds(4)));

        // While it is good it is used; from one moment to the next nothing goes out any more.
        Assert.False(await SeesMarkerAsync(mesh, orders.EndPoint.Port, () => Eventually.IsTrueAsync(async () => await SayAsync(web) == "" && Flags(web).Contains("OwnSvidExpired"), "the certificate has expired")));
        Assert.Equal("", await SayAsync(web));
        await RefusedAsync(web, "OwnSvidExpired");
    }

    [Theory]
    [InlineData("")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    public async Task Nothing_is_sent_in_clear_when_the_bundle_is_empty_or_broken(string bundle)
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var (web, orders) = await mesh.PairAsync(echo.EndPoint, "tcp");
        Assert.Equal(Marker, await SayAsync(web));

        await System.IO.File.WriteAllTextAsync($"{mesh.File("web")}/bundle.pem", bundle);

        // The last good bundle stays in force, and if it did not, nothing would go out.
        Assert.False(await SeesMarkerAsync(mesh, orders.EndPoint.Port, async () =>
        {
            for (var i = 0; i < 20; i++)
            {
                Assert.Contains(await SayAsync(web), new[] { "", Marker });
            }
        }));

        // Who begins with such a bundle has no identity at all.
        var folder = mesh.File("web");
        var late = await mesh.OutboundAsync(
            orders.EndPoint, "tcp", account: "late", identity: $"{{files: {{certificate: {folder}/chain.pem, key: {folder}/key.pem, roots: {folder}/bundle.pem}}}}");
        Assert.False(await SeesMarkerAsync(mesh, orders.EndPoint.Port, async () => Assert.Equal("", await SayAsync(late))));
        await RefusedAsync(late, "WaitingForSvid");
    }

    [Fact]
    public async Task Nothing_is_sent_when_a_policy_about_the_destination_cannot_be_understood()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var (web, orders) = await mesh.PairAsync(echo.EndPoint, "tcp");
        Assert.Equal(Marker, await SayAsync(web));

        mesh.SetPolicy(Sidecars.Strict + """
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: odd, namespace: default}
            spec: {host: orders.default.svc.cluster.local, trafficPolicy: {tls: {mode: MAYBE}}}
            """);

        Assert.False(await SeesMarkerAsync(mesh, orders.EndPoint.Port, () => Eventually.IsTrueAsync(async () => await SayAsync(web) == "", "nothing is sent")));
        await RefusedAsync(web, "ClientTlsUnsupported");
    }

    [Fact]
    public async Task Nothing_is_sent_to_a_server_that_speaks_no_TLS()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var web = await mesh.OutboundAsync(echo.EndPoint, "tcp");

        Assert.False(await SeesMarkerAsync(mesh, echo.EndPoint.Port, async () => Assert.Equal("", await SayAsync(web))));
        await RefusedAsync(web, "HandshakeFailed");
    }

    /// <summary>The refusal is in the log and has been counted.</summary>
    private static async Task RefusedAsync(Sidecar sidecar, string reason)
    {
        await Eventually.IsTrueAsync(() => Flags(sidecar).Contains(reason), reason);
        using var http = new HttpClient();
        Assert.Matches($$"""signet_proxy_refusals_total\{[^}]*reason="{{reason}}"[^}]*\} [1-9]""", await http.GetStringAsync(new Uri($"http://{sidecar.AdminEndPoint}/metrics")));
    }

    private static IEnumerable<string?> Flags(Sidecar sidecar) => sidecar.Log().Select(line => line.GetProperty("response").GetProperty("flag").GetString());

    /// <summary>Captures a port on loopback while something happens.</summary>
    private static async Task<bool> SeesMarkerAsync(Sidecars mesh, int port, Func<Task> what)
    {
        var file = mesh.File($"{Guid.NewGuid():N}.pcap");
        var witness = Signet.Cli.Demo.DemoProcess.Start(
            "tcpdump", "tcpdump", ["-i", "lo", "-s", "0", "--immediate-mode", "-U", "-Z", Environment.UserName, "-w", file, "tcp", "port", $"{port}"], mesh.File($"{Guid.NewGuid():N}.log"));
        await using (witness)
        {
            await Eventually.IsTrueAsync(() => witness.HasExited || Sidecars.LogOf(witness).Contains("listening on"), "the witness looks");
            Assert.SkipWhen(witness.HasExited, $"packets cannot be captured here: {Sidecars.LogOf(witness)}");
            await what();

            // A packet of our own at the end shows that all before it was seen.
            await Eventually.IsTrueAsync(
                async () =>
                {
                    using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                    await probe.ConnectAsync(IPAddress.Loopback, port);
                    return new FileInfo(file).Length > 24;
                },
                "packets are captured");
        }

        return (await System.IO.File.ReadAllBytesAsync(file)).AsSpan().IndexOf(Encoding.ASCII.GetBytes(Marker)) >= 0;
    }

    private static async Task<string> SayAsync(Sidecar web)
    {
        try
        {
            using var socket = await web.ConnectAsync();
            await socket.SendAsync(Encoding.ASCII.GetBytes(Marker));
            var back = new StringBuilder();
            var buffer = new byte[256];
            while (back.Length < Marker.Length && await socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(30)) is > 0 and var read)
            {
                back.Append(Encoding.ASCII.GetString(buffer, 0, read));
            }

            return back.ToString();
        }
        catch (SocketException)
        {
            return "";
        }
    }
}
