using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>Much of everything: connections, bytes, and what is left of them afterwards.</summary>
public sealed class ScaleTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Thousands_of_idle_connections_live_through_two_proxies_and_leave_nothing_behind(bool tunnel) => ManyAsync(4_000, tunnel);

    [Theory(Explicit = true)]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Category", "Soak")]
    public Task Ten_thousand_idle_connections_live_through_two_proxies_and_leave_nothing_behind(bool tunnel) => ManyAsync(10_000, tunnel);

    private static async Task ManyAsync(int wanted, bool tunnel)
    {
        // A tunnel that nothing is in any more stays for the next connection.
        var rest = tunnel ? Environment.ProcessorCount * 16 : 0;

        // In a proxy a connection takes one descriptor beside its tunnel's and two without tunnels; in this process and the application's one.
        var count = Math.Min(wanted, (OpenFilesLimit() - 1_000) / (tunnel ? 1 : 2));
        await using var mesh = new Sidecars();
        var app = new IPEndPoint(IPAddress.Loopback, Sidecars.Port());
        await mesh.StartAsync(PythonStubs.Python, [Path.Combine(Peer.Scripts, "many_echo.py"), $"{app.Port}"], app.Port);
        var (web, orders) = await mesh.PairAsync(app, "tcp", tunnel: tunnel);
        Sidecar[] both = [web, orders];
        Assert.Equal("x", await SayAsync(web));
        await Eventually.IsTrueAsync(async () => await web.ConnectionsAsync() == 0 && await orders.ConnectionsAsync() <= rest, "it begins at rest");
        var before = both.Select(one => (one.Memory, one.Descriptors)).ToList();

        var open = new Socket[count];
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (i, _) =>
        {
            open[i] = await web.ConnectAsync();
            Assert.Equal("x", await SayAsync(open[i]));
        }).WaitAsync(Deadline);

        Assert.InRange(await orders.ConnectionsAsync(), count, count + rest);
        var during = both.Select(one => one.Memory).ToList();
        foreach (var i in Enumerable.Range(0, 50).Select(i => i * (count / 50)))
        {
            Assert.Equal("x", await SayAsync(open[i]));
        }

        foreach (var socket in open)
        {
            socket.Dispose();
        }

        await Eventually.IsTrueAsync(async () => await web.ConnectionsAsync() == 0 && await orders.ConnectionsAsync() <= rest, "all connections are over");
        await Eventually.IsTrueAsync(() => both.Zip(before).All(one => one.First.Descriptors <= one.Second.Descriptors + 20 + rest), "all descriptors are closed");

        // What was needed for so many is given back when they have gone; a part stays for the next ones, and so does what a process compiles and pools in its first load.
        if (!tunnel)
        {
            const long OfFirstLoad = 48 << 20;
            await Eventually.IsTrueAsync(
                () => both.Select((one, i) => one.Memory - before[i].Memory < (during[i] - before[i].Memory) / 2 + OfFirstLoad).All(isLess => isLess), "most of the memory is given back");
        }

        var after = both.Select(one => one.Memory).ToList();
        for (var i = 0; i < 2; i++)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{(i == 0 ? "web" : "orders")}: {count} connections, {(during[i] - before[i].Memory) / count} bytes each; MiB before {before[i].Memory >> 20}, during {during[i] >> 20}, after {after[i] >> 20}");
            Assert.InRange((during[i] - before[i].Memory) / count, 0, 64 * 1024);
        }
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task Rotations_and_policy_changes_leave_nothing_behind()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var (web, orders) = await mesh.PairAsync(echo.EndPoint, "tcp", Sidecars.CollectingOften);
        var early = 0L;
        for (var round = 1; round <= 150; round++)
        {
            mesh.WriteIdentity("web");
            mesh.WriteIdentity("orders");
            mesh.SetPolicy(Sidecars.Strict + $"# {round}\n");
            var wanted = round;
            await Eventually.IsTrueAsync(async () => await RotationsAsync(web) >= wanted && await RotationsAsync(orders) >= wanted, "both have rotated");
            Assert.Equal("x", await SayAsync(web));
            early = round == 50 ? web.Memory + orders.Memory : early;
        }

        var grown = web.Memory + orders.Memory - early;
        TestContext.Current.TestOutputHelper?.WriteLine($"grown by {grown >> 10} KiB in 100 rotations of two proxies");
        Assert.InRange(grown, long.MinValue, 30_000_000);
    }

    [Fact]
    public Task One_gigabyte_arrives_as_it_was_sent() => TransferAsync(1L << 30);

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public Task Ten_gigabytes_arrive_as_they_were_sent() => TransferAsync(10L << 30);

    private static async Task TransferAsync(long size)
    {
        byte[]? received = null;
        long arrived = 0;
        await using var mesh = new Sidecars();
        await using var app = new Echo(async stream =>
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var buffer = new byte[256 * 1024];
            while (await stream.ReadAsync(buffer) is > 0 and var read)
            {
                hash.AppendData(buffer, 0, read);
                arrived += read;
            }

            received = hash.GetHashAndReset();
            await stream.WriteAsync(received);
        });
        var (web, orders) = await mesh.PairAsync(app.EndPoint, "tcp");
        using var socket = await web.ConnectAsync();
        await using var stream = new NetworkStream(socket);
        using var sent = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var block = RandomNumberGenerator.GetBytes(1 << 20);
        for (long i = 0; i < size / block.Length; i++)
        {
            BitConverter.TryWriteBytes(block, i);
            sent.AppendData(block);
            await socket.SendAsync(block).WaitAsync(Deadline);
        }

        socket.Shutdown(SocketShutdown.Send);
        var answer = new byte[32];
        Assert.Equal(32, await stream.ReadAtLeastAsync(answer, 32, throwOnEndOfStream: false).AsTask().WaitAsync(Deadline));

        Assert.Equal(size, arrived);
        Assert.Equal(sent.GetHashAndReset(), answer);
        foreach (var one in new[] { web, orders })
        {
            Assert.InRange(one.Memory, 0, 300_000_000);
        }
    }

    private static async Task<string> SayAsync(Sidecar web)
    {
        using var socket = await web.ConnectAsync();
        return await SayAsync(socket);
    }

    private static async Task<string> SayAsync(Socket socket)
    {
        await socket.SendAsync("x"u8.ToArray());
        var buffer = new byte[1];
        return Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(60)));
    }

    private static async Task<int> RotationsAsync(Sidecar sidecar) => (await sidecar.AdminAsync("/stats")).GetProperty("rotations").GetInt32();

    private static int OpenFilesLimit()
    {
        var words = File.ReadLines("/proc/self/limits").First(line => line.StartsWith("Max open files")).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return int.TryParse(words[4], out var hard) ? hard : int.MaxValue;
    }
}
