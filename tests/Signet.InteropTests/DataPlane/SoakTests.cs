using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Hours of a mesh's life in fast motion: load while identities rotate every two seconds, policies flip, the agent is killed and the server is
/// away. No connection may fail that policy did not refuse, and neither memory nor descriptors may grow. <c>make soak</c>, <c>SOAK=5m make soak</c>.
/// </summary>
public sealed class SoakTests
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);

    private readonly ConcurrentQueue<string> _failures = [];
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private long _connections;
    private long _requests;
    private long _bytes;
    private long _refused;
    private int _rotations;
    private int _flips;
    private int _outages;

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
        using var stop = new CancellationTokenSource(length);
        var samples = new List<(long Memory, int Descriptors)[]>();

        Task[] all =
        [
            .. Enumerable.Range(0, 3).Select(i => UntilAsync(stop.Token, "a short connection", () => ShortAsync(web, i))),
            .. Enumerable.Range(0, 2).Select(_ => LongAsync(web, stop.Token)),
            UntilAsync(stop.Token, "a connection that is reset", () => ResetAsync(web)),
            UntilAsync(stop.Token, "a request through server's and agent's mesh", () => AskAsync(processes)),
            RotateAsync(mesh, stop.Token),
            FlipAsync(mesh, guest, stop.Token),
            OutagesAsync(processes, stop.Token),
            SampleAsync([web, orders, guest], samples, stop.Token),
        ];
        await Task.WhenAll(all);

        var report = $"{_watch.Elapsed:hh\\:mm\\:ss}: {_connections} connections, {_bytes >> 20} MiB, {_requests} requests, {_rotations} rotations, {_flips} policy flips, "
            + $"{_refused} refused by policy, {_outages} outages of server or agent, {_failures.Count} failures\n{Table(samples)}";
        await File.WriteAllTextAsync(Path.Combine(AppContext.BaseDirectory, "soak.txt"), report);
        Assert.True(_failures.IsEmpty, $"{report}\n{string.Join("\n", _failures.Take(20))}");
        AssertFlat(samples, report);
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

    private async Task UntilAsync(CancellationToken stop, string what, Func<Task> action)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await action();
            }
            catch (Exception e) when (e is IOException or SocketException or TimeoutException or InvalidDataException)
            {
                _failures.Enqueue($"{_watch.Elapsed} {what}: {e.Message}");
            }
        }
    }

    private async Task ShortAsync(Sidecar web, int worker)
    {
        using var socket = await web.ConnectAsync();
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
        await PauseAsync(TimeSpan.FromMilliseconds(5), CancellationToken.None);
    }

    /// <summary>One connection for the whole time; rotations are none of its business.</summary>
    private async Task LongAsync(Sidecar web, CancellationToken stop)
    {
        using var socket = await web.ConnectAsync();
        await using var stream = new NetworkStream(socket);
        var back = new byte[100];
        try
        {
            while (!stop.IsCancellationRequested)
            {
                await stream.WriteAsync(back, CancellationToken.None);
                await stream.ReadExactlyAsync(back, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
                await PauseAsync(TimeSpan.FromMilliseconds(100), stop);
            }
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            _failures.Enqueue($"{_watch.Elapsed} the long connection: {e.Message}");
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
        var (status, text) = await mesh.Demo.AskAsync(HttpMethod.Get, mesh.Layout.Web.AppPort, "/", CancellationToken.None);
        if (status != 200)
        {
            throw new InvalidDataException($"status {status}: {text}");
        }

        Interlocked.Increment(ref _requests);
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
