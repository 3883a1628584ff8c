using System.Net;
using System.Net.Sockets;
using System.Text;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>What a proxy does when the machine has nothing left to give, and when names lead elsewhere.</summary>
public sealed class ScarcityTests
{
    private const string Plaintext = """
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {name: mesh, namespace: istio-system}
        spec: {mtls: {mode: PERMISSIVE}}
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: plain, namespace: default}
        spec: {host: orders.default.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}
        """;

    [Fact]
    public async Task Without_descriptors_nobody_is_left_hanging_and_everything_is_as_before_once_there_are_some()
    {
        await using var mesh = new Sidecars();
        mesh.SetPolicy(Plaintext);
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");
        Assert.Equal("x", await AskAsync(orders));
        await Eventually.IsTrueAsync(async () => await orders.ConnectionsAsync() == 0, "it begins at rest");

        // Enough for ten connections, of which each takes two.
        await Tool.DoAsync("prlimit", ["--pid", $"{orders.Process.Pid}", $"--nofile={orders.Descriptors + 20}:"]);
        var waiting = new List<Socket>();
        for (var i = 0; i < 40; i++)
        {
            var socket = await orders.ConnectAsync();
            waiting.Add(socket);
            await Record.ExceptionAsync(() => socket.SendAsync("x"u8.ToArray()));
        }

        await Eventually.IsTrueAsync(() => (Sidecars.LogOf(orders.Process) + string.Concat(orders.Log())).Contains("Too many open files", StringComparison.OrdinalIgnoreCase), "it says so");
        var answered = 0;
        foreach (var socket in waiting)
        {
            answered += await HearAsync(socket) == "x" ? 1 : 0;
            socket.Dispose();
        }

        Assert.InRange(answered, 5, 40);
        Assert.False(orders.Process.HasExited);
        await Eventually.IsTrueAsync(async () => await AskAsync(orders) == "x", "the next one is served");
        await Eventually.IsTrueAsync(async () => await orders.ConnectionsAsync() == 0, "nothing is left behind");
    }

    [Fact]
    public async Task A_name_is_looked_up_again_for_each_connection()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "a file of names of its own needs root");
        await using var mesh = new Sidecars();
        mesh.SetPolicy(Plaintext);
        await using var first = new Echo(stream => stream.WriteAsync("1"u8.ToArray()).AsTask());
        await using var second = new Echo(stream => stream.WriteAsync("2"u8.ToArray()).AsTask(), new IPEndPoint(IPAddress.Parse("127.0.0.2"), first.EndPoint.Port));
        var hosts = mesh.File("hosts");
        await File.WriteAllTextAsync(hosts, "127.0.0.1 moving.signet.test\n");
        mesh.Under = ["unshare", "--mount", "sh", "-c", $"mount --bind {hosts} /etc/hosts && exec \"$0\" \"$@\""];
        var web = await mesh.OutboundAsync(new DnsEndPoint("moving.signet.test", first.EndPoint.Port), "tcp");
        Assert.Equal("1", await AskAsync(web));

        await File.WriteAllTextAsync(hosts, "127.0.0.2 moving.signet.test\n");

        Assert.Equal("2", await AskAsync(web));
    }

    private static async Task<string> AskAsync(Sidecar sidecar)
    {
        using var socket = await sidecar.ConnectAsync();
        await socket.SendAsync("x"u8.ToArray());
        return await HearAsync(socket);
    }

    /// <summary>What is heard first; nothing when the connection ends.</summary>
    private static async Task<string> HearAsync(Socket socket)
    {
        try
        {
            var buffer = new byte[16];
            return Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(30)));
        }
        catch (SocketException)
        {
            return "";
        }
    }
}
