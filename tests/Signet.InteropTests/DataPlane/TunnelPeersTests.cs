using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Signet.InteropTests.Rpc;

namespace Signet.InteropTests.DataPlane;

/// <summary>Tunnels are HTTP/2 with CONNECT streams (RFC 9113 §8.5), the framing of HBONE: an HTTP/2 that others wrote speaks to either end.</summary>
public sealed class TunnelPeersTests
{
    private const string Authority = "orders.default.svc.cluster.local:8080";
    private const string OnlyWeb =
        Sidecars.Strict + "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: web, namespace: default}\n"
        + "spec: {action: ALLOW, rules: [{from: [{source: {principals: [example.org/ns/default/sa/web]}}]}]}\n";

    private static readonly string Script = Path.Combine(Peer.Scripts, "tunnel_peer.mjs");

    [Fact]
    public async Task Node_opens_streams_of_a_tunnel_and_each_is_decided_by_policy()
    {
        await using var mesh = new Sidecars();
        mesh.SetPolicy(OnlyWeb);
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");

        var let = await Tool.DoAsync("node", [Script, "client", $"{orders.EndPoint.Port}", mesh.WriteIdentity("web"), Authority, "50", "100000"]);
        var refused = await Tool.DoAsync("node", [Script, "client", $"{orders.EndPoint.Port}", mesh.WriteIdentity("stranger"), Authority, "3", "10"]);
        var nowhere = await Tool.DoAsync("node", [Script, "client", $"{orders.EndPoint.Port}", mesh.WriteIdentity("web"), "no-port", "1", "10"]);

        Assert.Equal(["alpn signet-tunnel", .. Enumerable.Repeat("200 same", 50)], Lines(let));
        Assert.All(Lines(refused).Skip(1), line => Assert.StartsWith("403", line, StringComparison.Ordinal));
        Assert.StartsWith("400", Lines(nowhere)[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_is_the_far_end_of_a_tunnel_that_carries_connections_both_ways()
    {
        await using var mesh = new Sidecars();
        var port = Sidecars.Port();
        await mesh.StartAsync("node", [Script, "server", $"{port}", mesh.WriteIdentity("orders")], port);
        var web = await mesh.OutboundAsync(new IPEndPoint(IPAddress.Loopback, port), "tcp");

        await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            using var socket = await web.ConnectAsync();
            await using var stream = new NetworkStream(socket);
            var sent = RandomNumberGenerator.GetBytes(1 + (i * 10_007));
            var sending = Task.Run(async () =>
            {
                await stream.WriteAsync(sent);
                socket.Shutdown(SocketShutdown.Send);
            });
            using var received = new MemoryStream();
            await stream.CopyToAsync(received);
            await sending;
            Assert.Equal(sent, received.ToArray());
        }));
    }

    private static string[] Lines(string output) => output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
