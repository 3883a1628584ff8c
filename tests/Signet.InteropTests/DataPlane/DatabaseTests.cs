using System.Diagnostics;
using System.Net;
using System.Text;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>Databases and their own clients through two proxies, as one declares them and as one forgets to.</summary>
public sealed class DatabaseTests
{
    [Theory]
    [InlineData("tcp")]
    [InlineData("auto")]
    public async Task PostgreSQL_and_psql_do_not_notice(string protocol)
    {
        await using var mesh = new Sidecars();
        using var data = new TestFolder();
        var bin = Directory.GetDirectories("/usr/lib/postgresql").Order(StringComparer.Ordinal).Last() + "/bin";
        var port = Sidecars.Port();

        // PostgreSQL refuses to be root.
        string[] asUser = Environment.UserName == "root" ? ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] : ["--"];
        if (Environment.UserName == "root")
        {
            await Tool.DoAsync("chown", ["-R", "postgres", data.Path]);
        }

        await Tool.DoAsync("setpriv", [.. asUser, $"{bin}/initdb", "-D", data.File("db"), "-A", "trust", "-U", "test", "--no-sync", "-E", "UTF8"]);
        await mesh.StartAsync(
            "setpriv", [.. asUser, $"{bin}/postgres", "-D", data.File("db"), "-p", $"{port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"], port);
        var (web, orders) = await mesh.PairAsync(new IPEndPoint(IPAddress.Loopback, port), protocol);

        // prefer: the client asks for TLS first, is told that there is none, and goes on.
        foreach (var mode in new[] { "disable", "prefer" })
        {
            var answer = await PsqlAsync(web, mode, "SELECT version()");
            Assert.StartsWith("PostgreSQL", answer, StringComparison.Ordinal);
        }

        var rows = new StringBuilder();
        for (var i = 0; i < 100_000; i++)
        {
            rows.Append(i).Append('\t').Append("some text that is the same and a number that is not ").Append(i * 7919L).Append('\n');
        }

        await PsqlAsync(web, "disable", "CREATE TABLE t (id int, words text)");
        await PsqlAsync(web, "disable", "COPY t FROM STDIN", rows.ToString());
        Assert.Equal("100000", (await PsqlAsync(web, "disable", "SELECT count(*) FROM t")).Trim());
        Assert.Equal(rows.ToString(), await PsqlAsync(web, "disable", "COPY (SELECT * FROM t ORDER BY id) TO STDOUT"));
        await Eventually.IsTrueAsync(() => orders.Log().Any(line => line.GetProperty("bytes").GetProperty("in").GetInt64() >= rows.Length), "the copy is logged");
        Assert.All(orders.Log().Where(line => line.GetProperty("bytes").GetProperty("in").GetInt64() > 0), line => Assert.Equal("tcp", line.GetProperty("protocol").GetString()));
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("auto")]
    public async Task Redis_and_its_clients_do_not_notice(string protocol)
    {
        await using var mesh = new Sidecars();
        var port = Sidecars.Port();
        await mesh.StartAsync("redis-server", ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--dir", mesh.File(".")], port);
        var (web, _) = await mesh.PairAsync(new IPEndPoint(IPAddress.Loopback, port), protocol);
        string[] at = ["-h", "127.0.0.1", "-p", $"{web.EndPoint.Port}"];

        Assert.Equal("PONG", (await Tool.DoAsync("redis-cli", [.. at, "ping"])).Trim());

        // Pipelined: 50,000 commands without waiting for an answer.
        var commands = string.Concat(Enumerable.Range(0, 50_000).Select(i => $"SET key:{i} {new string('v', 1 + (i % 100))}\r\n"));
        Assert.Contains("errors: 0, replies: 50000", await Tool.DoAsync("redis-cli", [.. at, "--pipe"], commands), StringComparison.Ordinal);
        Assert.Equal("50000", (await Tool.DoAsync("redis-cli", [.. at, "dbsize"])).Trim());
        var large = new string('x', 3_000_000);
        await Tool.DoAsync("redis-cli", [.. at, "-x", "set", "large"], large);
        Assert.Equal(large, (await Tool.DoAsync("redis-cli", [.. at, "get", "large"])).Trim());

        // Subscribed: the server speaks when it wants to.
        using var subscriber = Process.Start(new ProcessStartInfo("redis-cli", [.. at, "subscribe", "news"]) { RedirectStandardOutput = true })!;
        try
        {
            await ReadLinesAsync(subscriber, 3);
            for (var i = 0; i < 5; i++)
            {
                Assert.Equal("1", (await Tool.DoAsync("redis-cli", [.. at, "publish", "news", $"item {i}"])).Trim());
                Assert.Contains($"item {i}", await ReadLinesAsync(subscriber, 3));
            }
        }
        finally
        {
            subscriber.Kill();
        }
    }

    private static async Task<string> ReadLinesAsync(Process process, int count)
    {
        var lines = new StringBuilder();
        for (var i = 0; i < count; i++)
        {
            lines.Append(await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30))).Append('\n');
        }

        return lines.ToString();
    }

    private static Task<string> PsqlAsync(Sidecar web, string mode, string command, string? input = null) =>
        Tool.DoAsync("psql", ["-X", "-q", "-t", "-A", $"host=127.0.0.1 port={web.EndPoint.Port} user=test dbname=postgres sslmode={mode} gssencmode=disable", "-c", command], input);
}
