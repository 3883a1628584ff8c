using System.Net.Sockets;
using System.Text;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Both proxies under glibc's checking allocator: blocks that libssl and the loop took are checked when they are given back and filled with
/// rubbish before and after. A block that is freed twice, written past its end or read after its end aborts the process or breaks a record.
/// </summary>
public sealed class AllocatorTests
{
    private const string Library = "/lib/x86_64-linux-gnu/libc_malloc_debug.so.0";

    [Fact]
    public async Task No_block_of_native_memory_is_misused_under_load_resets_and_rotations()
    {
        Assert.SkipUnless(File.Exists(Library), $"{Library} is part of glibc on Debian for x86-64");
        var checking = new Dictionary<string, string> { ["LD_PRELOAD"] = Library, ["GLIBC_TUNABLES"] = "glibc.malloc.check=3", ["MALLOC_PERTURB_"] = "165" };
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var (web, orders) = await mesh.PairAsync(echo.EndPoint, "tcp", checking);
        foreach (var one in new[] { web, orders })
        {
            Assert.Contains("libc_malloc_debug", await File.ReadAllTextAsync($"/proc/{one.Process.Pid}/maps"), StringComparison.Ordinal);
        }

        for (var round = 0; round < 5; round++)
        {
            mesh.WriteIdentity(round % 2 == 0 ? "web" : "orders");
            await Parallel.ForEachAsync(Enumerable.Range(0, 100), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, _) =>
            {
                using var socket = await web.ConnectAsync();
                var text = new string((char)('a' + (i % 26)), 1 + (i * 997 % 100_000));
                var sending = socket.SendAsync(Encoding.ASCII.GetBytes(text));
                if (i % 5 == 0)
                {
                    // Leaves at once, in whatever stage the two proxies are.
                    socket.LingerState = new LingerOption(true, 0);
                    return;
                }

                var buffer = new byte[text.Length];
                await sending;
                await new NetworkStream(socket).ReadExactlyAsync(buffer, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None);
                Assert.Equal(text, Encoding.ASCII.GetString(buffer));
            });
        }

        foreach (var one in new[] { web, orders })
        {
            Assert.False(one.Process.HasExited, Sidecars.LogOf(one.Process));
            Assert.True(await one.Process.StopAsync(), Sidecars.LogOf(one.Process));
        }
    }
}
