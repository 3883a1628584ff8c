using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Hours of a mesh's life in fast motion: load while identities rotate every two seconds, policies flip, proxies follow each other, the agent is
/// killed and the server is away. No connection may fail that policy did not refuse, and neither memory nor descriptors may grow; what fails says
/// what the client saw and what both proxies logged. <c>make soak</c>, <c>SOAK=5m make soak</c>.
/// </summary>
public sealed class SoakTests
{
    private const int Told = 20;
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan BetweenRestarts = TimeSpan.FromSeconds(20);

    /// <summary>When a proxy has drained for this long, connections that still live end: what is configured, less what a busy machine may be late.</summary>
    private static readonly TimeSpan Drain = TimeSpan.FromSeconds(25);

    private readonly ConcurrentQueue<string> _failures = [];
    private readonly ConcurrentQueue<TimeSpan> _restarted = [];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private long _connections;
    private long _requests;
    private long _bytes;
    private long _refused;
    private int _rotations;
    private int _flips;
    private int _outages;
    private int _restarts;
    private int _keptOn;
    private int _drained;

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task Nothing_fails_and_nothing_grows()
    {
        var length = Length();
        await using var processes = await ProcessMesh.StartAsync(TimeSpan.FromSeconds(40));
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var (web, orders) = await mesh.PairAsync(echo.EndPoint, "tcp", Sidecars.CollectingOften);
        var guest = await mesh.OutboundAsync(orders.EndPoint, "tcp", "guest", Sidecars.CollectingOften);

        // These two are restarted, and so are the proxies of the other mesh; those that are not show whether anything grows.
        await using var restartedEcho = new Echo();
        var (caller, called) = await RestartedPairAsync(mesh, restartedEcho);
        using var stop = new CancellationTokenSource(length);
        var samples = new List<(long Memory, int Descriptors)[]>();

        Task[] all =
        [
            .. Enumerable.Range(0, 3).Select(i => UntilAsync(stop.Token, () => ShortAsync("a short connection", web, orders, i))),
            UntilAsync(stop.Token, () => ShortAsync("a short connection through restarts", caller, called, 1)),
            LongAsync(web, orders, mayEnd: false, stop.Token),
            LongAsync(caller, called, mayEnd: true, stop.Token),
            UntilAsync(stop.Token, () => ResetAsync(web)),
            UntilAsync(stop.Token, () => AskAsync(processes)),
            RestartAsync(mesh, [caller, called], processes, stop.Token),
            RotateAsync(mesh, stop.Token),
            FlipAsync(mesh, guest, stop.Token),
            OutagesAsync(processes, stop.Token),
            SampleAsync([web, orders, guest], samples, stop.Token),
        ];
        await Task.WhenAll(all);

        var report = $"{_watch.Elapsed:hh\\:mm\\:ss}: {_connections} connections, {_bytes >> 20} MiB, {_requests} requests, {_rotations} rotations, {_flips} policy flips, "
            + $"{_refused} refused by policy, {_outages} outages of server or agent, {_restarts} hot restarts, {_keptOn} successors that were not ready in time, {_drained} connections that outlived a drain, {_failures.Count} failures\n{Table(samples)}";
        await File.WriteAllTextAsync(Path.Combine(AppContext.BaseDirectory, "soak.txt"), report);
        Assert.True(_failures.IsEmpty, $"{report}\n{string.Join("\n", _failures.Take(Told))}");
        AssertFlat(samples, report);

        // A successor that a busy machine keeps from being ready gives up, and the old process goes on; most have to make it.
        Assert.True(_keptOn * 10 <= _restarts, report);
    }

    private static TimeSpan Length()
    {
        var text = Environment.GetEnvironmentVariable("SOAK") is { Length: > 0 } given ? given : "1h";
        return text[^1] switch
        {
            'h' => TimeSpan.FromHours(double.Parse(text[..^1])),
            'm' => TimeSpan.FromMinutes(double.Parse(text[..^1])),
            's' => TimeSpan.FromSeconds(double.Parse(text[..^1])),
            _ => throw new FormatException($"SOAK={text}; write a number and h, m or s, such as 5m"),
        };
    }

    private static async Task<(Sidecar Caller, Sidecar Called)> RestartedPairAsync(Sidecars mesh, Echo echo)
    {
        var called = await mesh.InboundAsync(echo.EndPoint, "tcp", "called", Sidecars.CollectingOften);
        return (await mesh.OutboundAsync(called.EndPoint, "tcp", "caller", Sidecars.CollectingOften), called);
    }

    private async Task UntilAsync(CancellationToken stop, Func<Task> action)
    {
        while (!stop.IsCancellationRequested)
        {
            await action();
        }
    }

    /// <summary>A failure with everything that is known of it, for the first few.</summary>
    private async Task FailAsync(string what, Exception e, Func<IEnumerable<string>> lines)
    {
        var at = _watch.Elapsed;
        await PauseAsync(TimeSpan.FromSeconds(1), CancellationToken.None);
        _failures.Enqueue($"{at} {what}: {e.GetType().Name}: {e.Message}{(_failures.Count < Told ? "\n    " + string.Join("\n    ", lines()) : "")}");
    }

    /// <summary>What the two proxies logged about a connection: the first by the client's port, the second by what went wrong there lately.</summary>
    private static IEnumerable<string> LinesOf(Sidecar web, Sidecar orders, Socket socket, DateTimeOffset since)
    {
        var port = (socket.LocalEndPoint as IPEndPoint)?.Port;
        return web.Log($"\"port\":{port},").Where(line => line.GetProperty("source").GetProperty("port").GetInt32() == port && line.GetProperty("time").GetDateTimeOffset() >= since)
            .Concat(orders.Log("\"verdict\":\"deny\"").Where(line => line.GetProperty("time").GetDateTimeOffset() >= since && line.GetProperty("reason").ValueKind == JsonValueKind.String))
            .TakeLast(10)
            .Select(line => line.ToString());
    }

    private async Task ShortAsync(string what, Sidecar web, Sidecar orders, int worker)
    {
        var began = DateTimeOffset.UtcNow;
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(web.EndPoint);
            await using var stream = new NetworkStream(socket);
            var sent = RandomNumberGenerator.GetBytes(RandomNumberGenerator.GetInt32(1, worker == 0 ? 2_000_000 : 20_000));
            var back = new byte[sent.Length];
            var sending = stream.WriteAsync(sent).AsTask();
            await stream.ReadExactlyAsync(back).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            await sending;
            socket.Shutdown(SocketShutdown.Send);
            if (!sent.AsSpan().SequenceEqual(back) || await stream.ReadAsync(back).AsTask().WaitAsync(TimeSpan.FromSeconds(30)) != 0)
            {
                throw new InvalidDataException("other bytes came back");
            }

            Interlocked.Increment(ref _connections);
            Interlocked.Add(ref _bytes, 2L * sent.Length);
        }
        catch (Exception e) when (e is IOException or SocketException or TimeoutException or InvalidDataException)
        {
            await FailAsync(what, e, () => LinesOf(web, orders, socket, began));
        }

        await PauseAsync(TimeSpan.FromMilliseconds(5), CancellationToken.None);
    }

    /// <summary>One connection for as long as it may last; rotations are none of its business, and restarts only once the drain is over.</summary>
    private async Task LongAsync(Sidecar web, Sidecar orders, bool mayEnd, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var (opened, began) = (_watch.Elapsed, DateTimeOffset.UtcNow);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(web.EndPoint, CancellationToken.None);
                await using var stream = new NetworkStream(socket);
                var back = new byte[100];
                while (!stop.IsCancellationRequested)
                {
                    await stream.WriteAsync(back, CancellationToken.None);
                    await stream.ReadExactlyAsync(back, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
                    await PauseAsync(TimeSpan.FromMilliseconds(100), stop);
                }
            }
            catch (Exception e) when (e is IOException or SocketException or TimeoutException)
            {
                if (mayEnd && _restarted.Any(restart => restart >= opened && _watch.Elapsed - restart >= Drain))
                {
                    _drained++;
                    continue;
                }

                await FailAsync("the long connection", e, () => LinesOf(web, orders, socket, began));
            }
        }
    }

    /// <summary>Proxies follow each other, in turns.</summary>
    private async Task RestartAsync(Sidecars mesh, Sidecar[] sidecars, ProcessMesh processes, CancellationToken stop)
    {
        string[] proxies = ["web-proxy", "orders-proxy", "payments-proxy"];
        for (var turn = 0; !stop.IsCancellationRequested; turn++)
        {
            await PauseAsync(BetweenRestarts, stop);
            if (stop.IsCancellationRequested)
            {
                return;
            }

            await CountAsync(() => mesh.SucceedAsync(sidecars[turn % sidecars.Length]));
            _restarted.Enqueue(_watch.Elapsed);
            await CountAsync(() => processes.SucceedAsync(proxies[turn % proxies.Length]));
        }

        async Task CountAsync(Func<Task> succeed)
        {
            try
            {
                await succeed();
                _restarts++;
            }
            catch (InvalidOperationException)
            {
                _keptOn++;
            }
        }
    }

    private static async Task ResetAsync(Sidecar web)
    {
        using var socket = await web.ConnectAsync();
        await socket.SendAsync(new byte[RandomNumberGenerator.GetInt32(1, 50_000)]);
        await PauseAsync(TimeSpan.FromMilliseconds(RandomNumberGenerator.GetInt32(1, 20)), CancellationToken.None);
        socket.LingerState = new LingerOption(true, 0);
    }

    private async Task AskAsync(ProcessMesh mesh)
    {
        var id = Guid.NewGuid().ToString();
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{mesh.Layout.Web.AppPort}/");
            request.Headers.ConnectionClose = true;
            request.Headers.Add("x-request-id", id);
            using var response = await _http.SendAsync(request);
            if ((int)response.StatusCode != 200)
            {
                throw new InvalidDataException($"status {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
            }

            Interlocked.Increment(ref _requests);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or InvalidDataException)
        {
            await FailAsync("a request through server's and agent's mesh", e, () => mesh.Layout.Workloads.SelectMany(workload =>
                File.Exists(workload.AccessLog) ? File.ReadLines(workload.AccessLog).Where(line => line.Contains(id, StringComparison.Ordinal)).Select(line => $"{workload.Name}: {line}") : []));
        }

        await PauseAsync(TimeSpan.FromMilliseconds(20), CancellationToken.None);
    }

    private async Task RotateAsync(Sidecars mesh, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            mesh.WriteIdentity((_rotations++ % 3) switch { 0 => "web", 1 => "orders", _ => "guest" });
            await PauseAsync(TimeSpan.FromSeconds(2), stop);
        }
    }

    /// <summary>Guests are let in and locked out in turn; a moment after each change only the new answer counts.</summary>
    private async Task FlipAsync(Sidecars mesh, Sidecar guest, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var isDenied = _flips++ % 2 == 0;
            mesh.SetPolicy(Sidecars.Strict + (!isDenied ? "" : """
                ---
                apiVersion: security.istio.io/v1
                kind: AuthorizationPolicy
                metadata: {name: no-guests, namespace: default}
                spec: {action: DENY, rules: [{from: [{source: {principals: ["example.org/ns/default/sa/guest"]}}]}]}
                """));
            await PauseAsync(Grace, stop);
            for (var i = 0; i < 20 && !stop.IsCancellationRequested; i++)
            {
                var wasServed = await TryAsync(guest);
                if (wasServed == isDenied)
                {
                    _failures.Enqueue($"{_watch.Elapsed} a guest was {(wasServed ? "let in against" : "locked out without")} the policy");
                }

                _refused += wasServed ? 0 : 1;
                await PauseAsync(TimeSpan.FromMilliseconds(100), stop);
            }
        }
    }

    private static async Task<bool> TryAsync(Sidecar guest)
    {
        try
        {
            using var socket = await guest.ConnectAsync();
            await socket.SendAsync(new byte[10]);
            return await socket.ReceiveAsync(new byte[10]).WaitAsync(TimeSpan.FromSeconds(30)) > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private async Task OutagesAsync(ProcessMesh mesh, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await PauseAsync(TimeSpan.FromSeconds(25), stop);
            if (stop.IsCancellationRequested)
            {
                return;
            }

            var victim = _outages++ % 2 == 0 ? "agent" : "server";
            await mesh.KillAsync(victim);
            await PauseAsync(TimeSpan.FromSeconds(victim == "server" ? 5 : 1), CancellationToken.None);
            mesh.Restart(victim);
        }
    }

    private static async Task SampleAsync(Sidecar[] sidecars, List<(long, int)[]> samples, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await PauseAsync(TimeSpan.FromSeconds(5), stop);
            samples.Add([.. sidecars.Select(one => (one.Memory, one.Descriptors))]);
        }
    }

    private static async Task PauseAsync(TimeSpan span, CancellationToken stop) => await Task.Delay(span, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>The last quarter against the second: the first is warming up.</summary>
    private static void AssertFlat(List<(long Memory, int Descriptors)[]> samples, string report)
    {
        for (var i = 0; i < 3 && samples.Count >= 8; i++)
        {
            var second = samples[(samples.Count / 4)..(samples.Count / 2)];
            var last = samples[(samples.Count * 3 / 4)..];
            Assert.True(last.Average(one => one[i].Memory) <= (second.Average(one => one[i].Memory) * 1.15) + 20_000_000, report);
            Assert.True(last.Average(one => one[i].Descriptors) <= second.Average(one => one[i].Descriptors) + 20, report);
        }
    }

    private static string Table(List<(long Memory, int Descriptors)[]> samples)
    {
        var step = Math.Max(1, samples.Count / 12);
        var lines = samples.Where((_, i) => i % step == 0 || i == samples.Count - 1).Select(one => string.Join("   ", one.Select(s => $"{s.Memory >> 20,5} MiB {s.Descriptors,5} fd")));
        return "web                 orders              guest\n" + string.Join("\n", lines);
    }
}
