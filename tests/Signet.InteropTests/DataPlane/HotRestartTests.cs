using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Signet.Cli.Demo;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>Processes follow each other while others use them: nobody may notice, and whatever fails must leave the old one serving.</summary>
public sealed class HotRestartTests : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly Sidecars _mesh = new();
    private readonly ConcurrentQueue<string> _failures = [];

    public ValueTask DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task No_connection_fails_while_both_proxies_are_restarted_again_and_again()
    {
        _mesh.More = "timeouts: {drain: 1h}\n";
        await using var echo = new Echo();
        var (web, orders) = await _mesh.PairAsync(echo.EndPoint, "tcp");
        using var stop = new CancellationTokenSource();
        var count = 0;
        List<Task> load = [.. Enumerable.Range(0, 4).Select(i => UntilAsync(stop.Token, async () =>
        {
            using var socket = await web.ConnectAsync();
            await EchoAsync(socket, RandomNumberGenerator.GetInt32(1, i == 0 ? 1_000_000 : 10_000));
            Interlocked.Increment(ref count);
        }))];
        var open = new List<Socket>();
        for (var i = 0; i < 4; i++)
        {
            open.Add(await web.ConnectAsync());
        }

        load.AddRange(open.Select(socket => UntilAsync(stop.Token, () => EchoAsync(socket, 100))));
        var ended = new List<DemoProcess>();
        for (var i = 0; i < 6; i++)
        {
            ended.Add(await _mesh.SucceedAsync(i % 2 == 0 ? orders : web));
            var seen = Volatile.Read(ref count);
            await Eventually.IsTrueAsync(() => Volatile.Read(ref count) > seen + 20, "new connections are served");
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
        open.ForEach(socket => socket.Dispose());
        Assert.True(_failures.IsEmpty, string.Join("\n", _failures));
        await AllEndedAsync(ended);
    }

    [Fact]
    public async Task No_request_fails_while_both_proxies_are_restarted_again_and_again()
    {
        await using var app = new Echo(HttpConnection.ServeAsync);
        var (web, orders) = await _mesh.PairAsync(app.EndPoint, "http");
        using var stop = new CancellationTokenSource();
        var count = 0;
        var load = Enumerable.Range(0, 4).Select(worker => UntilAsync(stop.Token, async () =>
        {
            // Some ask once, some keep their connection; half of them send bodies, which nobody may send twice.
            await using var connection = new HttpConnection(await web.ConnectAsync());
            for (var i = 0; i < (worker < 2 ? 1 : 50) && !stop.IsCancellationRequested; i++)
            {
                var goesOn = await connection.AskAsync(worker % 2 == 0 ? null : new string('b', RandomNumberGenerator.GetInt32(1, 5_000)));
                Interlocked.Increment(ref count);
                if (!goesOn)
                {
                    break;
                }
            }
        })).ToList();
        var ended = new List<DemoProcess>();
        for (var i = 0; i < 6; i++)
        {
            ended.Add(await _mesh.SucceedAsync(i % 2 == 0 ? orders : web));
            var seen = Volatile.Read(ref count);
            await Eventually.IsTrueAsync(() => Volatile.Read(ref count) > seen + 50, "requests are answered");
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
        Assert.True(_failures.IsEmpty, string.Join("\n", _failures));
        await AllEndedAsync(ended);
    }

    [Fact]
    public async Task Probes_and_scrapes_are_answered_all_the_while()
    {
        await using var echo = new Echo();
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp");
        await Eventually.IsTrueAsync(() => Occurrences(orders.Process, "proxy started") == 1, "it has started");
        using var stop = new CancellationTokenSource();
        var probing = UntilAsync(stop.Token, async () =>
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(orders.AdminEndPoint);
            await socket.SendAsync("GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"u8.ToArray());
            using var reader = new StreamReader(new NetworkStream(socket));
            var answer = await reader.ReadToEndAsync().WaitAsync(Deadline);
            if (!answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal))
            {
                throw new InvalidDataException(answer);
            }
        });

        var ended = new List<DemoProcess>();
        for (var i = 0; i < 4; i++)
        {
            ended.Add(await _mesh.SucceedAsync(orders));
        }

        await stop.CancelAsync();
        await probing;
        Assert.True(_failures.IsEmpty, string.Join("\n", _failures));
        await AllEndedAsync(ended);
    }

    [Fact]
    public async Task A_bad_new_configuration_keeps_the_old()
    {
        await using var echo = new Echo();
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp");
        var web = await _mesh.OutboundAsync(orders.EndPoint, "tcp");
        (Func<string, string> Change, string Problem)[] bad =
        [
            (text => text + "nonsense: 1\n", "nonsense"),
            (text => text.Replace("policy: {folder: ", "policy: {folder: /nowhere", StringComparison.Ordinal), "/nowhere"),
            (text => text.Replace($"127.0.0.1:{orders.EndPoint.Port}", echo.EndPoint.ToString(), StringComparison.Ordinal), "already in use"),
            (text => WithoutIdentity(text) + "timeouts: {handover: 200ms}\n", "was not ready within 200ms"),
        ];

        foreach (var (change, problem) in bad)
        {
            var next = _mesh.StartNext(orders, change);
            await Eventually.IsTrueAsync(() => next.HasExited, "the new process gives up");
            Assert.Equal(1, next.ExitCode);
            await Eventually.IsTrueAsync(() => Sidecars.LogOf(next).Contains(problem, StringComparison.Ordinal), $"it says \"{problem}\"");
            using var socket = await web.ConnectAsync();
            await EchoAsync(socket, 1_000);
            Assert.False(orders.Process.HasExited);
        }

        await AllEndedAsync([await _mesh.SucceedAsync(orders)]);
    }

    [Fact]
    public async Task A_bad_configuration_in_the_file_of_a_running_proxy_keeps_the_old()
    {
        await using var echo = new Echo();
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp");
        var web = await _mesh.OutboundAsync(orders.EndPoint, "tcp");
        var good = await File.ReadAllTextAsync(orders.Config);

        await File.WriteAllTextAsync(orders.Config, good + "nonsense: 1\n");
        await Eventually.IsTrueAsync(() => Occurrences(orders.Process, "the configuration read before stays in force") == 1, "it says so");
        using (var socket = await web.ConnectAsync())
        {
            await EchoAsync(socket, 1_000);
        }

        var next = _mesh.StartNext(orders);
        await Eventually.IsTrueAsync(() => next.HasExited, "the new process gives up");
        Assert.Equal(1, next.ExitCode);
        await File.WriteAllTextAsync(orders.Config, good);
        await AllEndedAsync([await _mesh.SucceedAsync(orders)]);
    }

    [Fact]
    public async Task A_new_process_that_is_killed_half_way_leaves_the_old_one_serving()
    {
        await using var echo = new Echo();
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp");
        var web = await _mesh.OutboundAsync(orders.EndPoint, "tcp");
        for (var i = 0; i < 3; i++)
        {
            var next = _mesh.StartNext(orders, WithoutIdentity);
            await Eventually.IsTrueAsync(() => Occurrences(orders.Process, "is to follow this one") == i + 1, "it has the sockets");
            await KillAsync(next);
            await Eventually.IsTrueAsync(() => Occurrences(orders.Process, "does not take over, this one goes on") == i + 1, "the old one says so");
            using var socket = await web.ConnectAsync();
            await EchoAsync(socket, 1_000);
        }

        await AllEndedAsync([await _mesh.SucceedAsync(orders)]);
    }

    [Fact]
    public async Task An_old_process_that_is_killed_half_way_is_followed_at_once()
    {
        await using var echo = new Echo();
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp");
        var next = _mesh.StartNext(orders, WithoutIdentity);
        await Eventually.IsTrueAsync(() => Occurrences(orders.Process, "is to follow this one") == 1, "it has the sockets");

        await KillAsync(orders.Process);

        // It listens though it has no identity: a proxy that starts by itself does so too, and says why it refuses.
        await Eventually.IsTrueAsync(() => Sidecars.LogOf(next).Contains("listening on", StringComparison.Ordinal), "the new one listens");
        using (var socket = await orders.ConnectAsync())
        {
            await Assert.ThrowsAsync<SocketException>(async () =>
            {
                await socket.SendAsync("x"u8.ToArray());
                await socket.ReceiveAsync(new byte[1]).WaitAsync(Deadline);
            });
        }

        Assert.Contains("has ended; its listening sockets are here", Sidecars.LogOf(next), StringComparison.Ordinal);
        orders.Process = next;
        await AllEndedAsync([await _mesh.SucceedAsync(orders)]);
    }

    [Fact]
    public async Task A_process_that_was_killed_is_in_nobodys_way()
    {
        await using var echo = new Echo();
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp");
        var web = await _mesh.OutboundAsync(orders.EndPoint, "tcp");
        await KillAsync(orders.Process);
        Assert.True(File.Exists(_mesh.HandoverOf("orders")), "it left its socket's path");

        orders.Process = _mesh.StartNext(orders);
        await Eventually.IsTrueAsync(() => Sidecars.LogOf(orders.Process).Contains("listening on", StringComparison.Ordinal), "the new one listens");
        using (var socket = await web.ConnectAsync())
        {
            await EchoAsync(socket, 1_000);
        }

        await AllEndedAsync([await _mesh.SucceedAsync(orders)]);
    }

    [Fact]
    public async Task Another_user_gets_nothing()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can become another user");
        await using var echo = new Echo();
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp");
        var path = _mesh.HandoverOf("orders");
        await Eventually.IsTrueAsync(() => File.Exists(path), "it can be followed");
        File.SetUnixFileMode(Path.GetDirectoryName(path)!, File.GetUnixFileMode(Path.GetDirectoryName(path)!) | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute);

        Assert.Contains("PermissionError", await AskAsNobodyAsync(path), StringComparison.Ordinal);

        // Even where the file's mode was opened, the kernel says who it is.
        File.SetUnixFileMode(path, (UnixFileMode)0b110_110_110);
        Assert.Contains("it belongs to another user than this proxy", await AskAsNobodyAsync(path), StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => Occurrences(orders.Process, "of user 65534 does not take over") == 1, "the old one says so");
        await AllEndedAsync([await _mesh.SucceedAsync(orders)]);
    }

    [Fact]
    public async Task The_service_manager_hears_which_process_is_the_service()
    {
        await using var echo = new Echo();
        using var systemd = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
        systemd.Bind(new UnixDomainSocketEndPoint(_mesh.File("notify")));
        var orders = await _mesh.InboundAsync(echo.EndPoint, "tcp", environment: new Dictionary<string, string> { ["NOTIFY_SOCKET"] = _mesh.File("notify") });
        Assert.Equal($"READY=1\nMAINPID={orders.Process.Pid}", Hear());

        await AllEndedAsync([await _mesh.SucceedAsync(orders)]);
        Assert.Equal($"READY=1\nMAINPID={orders.Process.Pid}", Hear());
        Assert.Equal(0, systemd.Available);

        Assert.True(await orders.Process.StopAsync());
        Assert.Equal("STOPPING=1", Hear());

        string Hear()
        {
            var buffer = new byte[256];
            return Encoding.UTF8.GetString(buffer, 0, systemd.Receive(buffer));
        }
    }

    private static string WithoutIdentity(string text) =>
        string.Join('\n', text.Split('\n').Select(line => line.StartsWith("identity:", StringComparison.Ordinal) ? "identity: {socket: \"unix:/nowhere.sock\"}" : line));

    private static int Occurrences(DemoProcess process, string text) => Sidecars.LogOf(process).Split(text).Length - 1;

    private static async Task KillAsync(DemoProcess process)
    {
        using var victim = Process.GetProcessById(process.Pid);
        victim.Kill();
        await Eventually.IsTrueAsync(() => process.HasExited, "it is dead");
    }

    private static async Task AllEndedAsync(List<DemoProcess> processes)
    {
        foreach (var process in processes)
        {
            await Eventually.IsTrueAsync(() => process.HasExited, $"process {process.Pid} has drained: {Sidecars.LogOf(process)}");
            Assert.Equal(0, process.ExitCode);
        }
    }

    private static async Task<string> AskAsNobodyAsync(string path)
    {
        const string Script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(600))\n";
        return (await Tool.RunAsync("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", Script, path])).Output;
    }

    private async Task UntilAsync(CancellationToken stop, Func<Task> action)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await action();
            }
            catch (Exception e) when (e is IOException or SocketException or TimeoutException or InvalidDataException)
            {
                _failures.Enqueue(e.Message);
                return;
            }
        }
    }

    private static async Task EchoAsync(Socket socket, int size)
    {
        var (sent, back) = (RandomNumberGenerator.GetBytes(size), new byte[size]);
        var sending = socket.SendAsync(sent);
        await new NetworkStream(socket).ReadExactlyAsync(back, CancellationToken.None).AsTask().WaitAsync(Deadline);
        await sending;
        if (!sent.AsSpan().SequenceEqual(back))
        {
            throw new InvalidDataException("other bytes came back");
        }
    }
}
