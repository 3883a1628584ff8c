using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using Signet.Proxy.Http2;
using Signet.Proxy.Transport;

namespace Signet.Benchmarks;

/// <summary>
/// What the tunnel's framing costs by itself: both roles in one process over a transport in memory, continued inline, so that nothing but the
/// codec, the windows and the copies is measured. The figures are for both sides together.
/// </summary>
internal static class Http2Streams
{
    private const int Streams = 64;

    public static async Task RunAsync(BenchContext context)
    {
        var table = new TextTable("what", "ns each", "B allocated each", "MB/s");
        await using var single = new Pair(context.Time, defers: false);
        var one = await single.ConnectAsync();

        foreach (var (name, size) in new[] { ("64 B echoed, one stream", 64), ("1 KiB echoed, one stream", 1024), ("16 KiB echoed, one stream", 16 * 1024) })
        {
            var buffer = new byte[size];
            await MeasureAsync(table, name, 2 * size, context, async () =>
            {
                await one.WriteAsync(buffer, context.Cancellation);
                await ReadExactlyAsync(one, buffer, context.Cancellation);
            });
        }

        await using var pair = new Pair(context.Time, defers: true);
        var streams = new List<Http2Stream>();
        for (var i = 0; i < Streams; i++)
        {
            streams.Add(await pair.ConnectAsync());
        }

        foreach (var (name, size) in new[] { ($"64 B echoed, {Streams} streams per turn", 64), ($"512 B echoed, {Streams} streams per turn", 512) })
        {
            var buffer = new byte[size];
            await MeasureAsync(table, name, 2 * size, context, async () =>
            {
                foreach (var stream in streams)
                {
                    await stream.WriteAsync(buffer, context.Cancellation);
                }

                pair.EndTurn();
                foreach (var stream in streams)
                {
                    await ReadExactlyAsync(stream, buffer, context.Cancellation);
                }
            }, Streams);
        }

        await MeasureAsync(table, "CONNECT, 64 B echoed, end, both sides", 128, context, async () =>
        {
            var stream = await single.ConnectAsync();
            var buffer = new byte[64];
            await stream.WriteAsync(buffer, context.Cancellation);
            await ReadExactlyAsync(stream, buffer, context.Cancellation);
            await stream.EndWritesAsync(context.Cancellation);
            await stream.ReadAsync(buffer, context.Cancellation);
            await stream.DisposeAsync();
        });
        table.WriteTo(context.Out);
    }

    private static async Task ReadExactlyAsync(Http2Stream stream, byte[] buffer, CancellationToken cancellationToken)
    {
        for (var read = 0; read < buffer.Length;)
        {
            read += await stream.ReadAsync(buffer.AsMemory(read), cancellationToken);
        }
    }

    private static async Task MeasureAsync(TextTable table, string name, int bytes, BenchContext context, Func<Task> once, int each = 1)
    {
        for (var i = 0; i < 2_000; i++)
        {
            await once();
        }

        var (count, began, before) = (0L, Stopwatch.GetTimestamp(), GC.GetTotalAllocatedBytes(precise: true));
        var until = context.Span(3);
        TimeSpan took;
        do
        {
            for (var i = 0; i < 200; i++, count++)
            {
                await once();
            }

            took = Stopwatch.GetElapsedTime(began);
        }
        while (took < until);

        count *= each;
        var allocated = (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)count;
        table.Add(
            name, (took.TotalNanoseconds / count).ToString("0", CultureInfo.InvariantCulture), allocated.ToString("0.0", CultureInfo.InvariantCulture),
            (bytes * (double)count / took.TotalSeconds / 1e6).ToString("0", CultureInfo.InvariantCulture));
    }

    /// <summary>Both roles, connected; the server echoes. One that defers sends the client's frames when its turn ends, as on a loop.</summary>
    private sealed class Pair : IAsyncDisposable
    {
        private readonly Http2Connection _client;
        private readonly Http2Connection _server;
        private readonly Task[] _ends;
        private readonly List<Action> _atTurnEnd = [];

        public Pair(TimeProvider time, bool defers)
        {
            var options = new PipeOptions(readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, useSynchronizationContext: false, pauseWriterThreshold: 1 << 20, resumeWriterThreshold: 1 << 19);
            var (up, down) = (new Pipe(options), new Pipe(options));
            var limits = new Http2Options { Time = time, MaxResets = int.MaxValue };
            _server = Http2Connection.AsServer(new PipeTransport(up.Reader, down.Writer), limits, EchoAsync);
            _client = Http2Connection.AsClient(new PipeTransport(down.Reader, up.Writer), limits with { AtTurnEnd = defers ? _atTurnEnd.Add : null });
            _ends = [_server.RunAsync(CancellationToken.None), _client.RunAsync(CancellationToken.None)];
        }

        public async Task<Http2Stream> ConnectAsync()
        {
            if (!_client.TryOpen(Http2RequestHead.Connect("10.0.0.9:8080", []), endStream: false, out var stream, out var refusal))
            {
                throw new BenchException($"no stream can be opened: {refusal}");
            }

            EndTurn();
            await stream!.ReadHeadAsync(CancellationToken.None);
            return stream;
        }

        public void EndTurn()
        {
            while (_atTurnEnd.Count > 0)
            {
                var action = _atTurnEnd[^1];
                _atTurnEnd.RemoveAt(_atTurnEnd.Count - 1);
                action();
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _client.DisposeAsync();
            await _server.DisposeAsync();
            await Task.WhenAll(_ends);
        }

        private static async Task EchoAsync(Http2Stream stream)
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
            while (await stream.ReadAsync(buffer, CancellationToken.None) is > 0 and var read)
            {
                await stream.WriteAsync(buffer.AsMemory(0, read), CancellationToken.None);
            }

            ArrayPool<byte>.Shared.Return(buffer);
            await stream.EndWritesAsync(CancellationToken.None);
        }
    }

    private sealed class PipeTransport(PipeReader input, PipeWriter output) : ITransport
    {
        public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var result = await input.ReadAsync(cancellationToken);
            var count = (int)Math.Min(buffer.Length, result.Buffer.Length);
            var taken = result.Buffer.Slice(0, count);
            taken.CopyTo(buffer.Span);
            input.AdvanceTo(taken.End);
            return count;
        }

        public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => await output.WriteAsync(bytes, cancellationToken);

        public ValueTask EndWritesAsync(CancellationToken cancellationToken) => output.CompleteAsync();

        public void Abort() => output.Complete();

        public ValueTask DisposeAsync() => output.CompleteAsync();
    }
}
