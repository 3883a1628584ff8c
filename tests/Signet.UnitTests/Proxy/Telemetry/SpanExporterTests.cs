using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Proxy.Config;
using Signet.Proxy.Telemetry;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class SpanExporterTests
{
    private const string Exported = "signet_proxy_spans_total|result=exported";
    private const string Dropped = "signet_proxy_spans_total|result=dropped";

    private static readonly TimeSpan Gathering = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Answering = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task Keeps_what_a_silent_collector_may_still_get_drops_and_counts_the_rest_and_goes_on_in_order()
    {
        using var collector = new Collector();
        using var metrics = new ProxyMetrics();
        using var counts = new Counts(metrics);
        var time = new ManualTimeProvider();
        await using var exporter = new SpanExporter(collector.Config, "orders", metrics, () => 0, time, NullLogger.Instance);
        var records = new HeldRecords();

        records.Offer(0, SpanExporter.Capacity + 1000, exporter.Offer);
        Assert.Equal(1000, counts[Dropped]);
        Assert.Equal(SpanExporter.Capacity, records.Held);

        // Some are under way, and nobody answers: there is room for as many.
        await PassAsync(time, Gathering);
        var underWay = await collector.NextAsync();
        records.Offer(10_000, 5000, exporter.Offer);
        Assert.Equal(1000 + 5000 - underWay.Count, counts[Dropped]);
        Assert.InRange(records.Held, 1, SpanExporter.Capacity + underWay.Count);

        // Those are given up, and the others delivered in order to somebody who answers.
        collector.Answers = true;
        await PassAsync(time, Answering);
        var delivered = new List<int>();
        while (delivered.Count < SpanExporter.Capacity)
        {
            await PassAsync(time, Gathering);
            delivered.AddRange(await collector.NextAsync());
        }

        Assert.Equal(Enumerable.Range(0, underWay.Count), underWay);
        Assert.Equal([.. Enumerable.Range(underWay.Count, SpanExporter.Capacity - underWay.Count), .. Enumerable.Range(10_000, underWay.Count)], delivered);
        await Eventually.IsTrueAsync(() => counts[Exported] == SpanExporter.Capacity, "the last answer");
        Assert.Equal(1000 + 5000, counts[Dropped]);
        Assert.InRange(records.Held, 0, underWay.Count);
    }

    [Fact]
    public async Task Ends_though_the_collector_never_answers_and_counts_what_is_lost()
    {
        using var collector = new Collector();
        using var metrics = new ProxyMetrics();
        using var counts = new Counts(metrics);
        var said = new RememberedLog();
        var exporter = new SpanExporter(collector.Config, "orders", metrics, () => 0, new ManualTimeProvider(), new RememberedLog.Provider(said));
        new HeldRecords().Offer(0, SpanExporter.Capacity, exporter.Offer);

        await exporter.DisposeAsync().AsTask().WaitAsync(Deadline);

        Assert.Equal(SpanExporter.Capacity, counts[Dropped]);
        Assert.Contains("no answer in time", Assert.Single(said.WithId(4031)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Takes_only_requests_of_traces_that_are_recorded()
    {
        using var collector = new Collector { Answers = true };
        using var metrics = new ProxyMetrics();
        using var counts = new Counts(metrics);
        await using (var exporter = new SpanExporter(collector.Config, "orders", metrics, () => 0, new ManualTimeProvider(), NullLogger.Instance))
        {
            var (connection, other, seen, none) = (HeldRecords.Number(0), HeldRecords.Number(1), HeldRecords.Number(2), HeldRecords.Number(3));
            (connection.Method, other.Trace, seen.Trace, none.Trace) = (null, TraceContext.Begin(isSampled: false), seen.Trace! with { SpanId = null }, null);
            foreach (var record in (AccessRecord[])[connection, other, seen, none, HeldRecords.Number(4)])
            {
                exporter.Offer(record);
            }
        }

        Assert.Equal([4], await collector.NextAsync());
        Assert.Equal((1, 0), (counts[Exported], counts[Dropped]));
    }

    /// <summary>Lets as much time pass as the exporter waits for next.</summary>
    private static async Task PassAsync(ManualTimeProvider time, TimeSpan wait)
    {
        await Eventually.IsTrueAsync(() => time.NextDue == time.GetUtcNow() + wait, $"a wait of {wait}");
        time.Advance(wait);
    }

    /// <summary>Takes what is exported, and answers or not.</summary>
    private sealed class Collector : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Channel<IReadOnlyList<int>> _requests = Channel.CreateUnbounded<IReadOnlyList<int>>();
        private volatile bool _answers;

        public Collector()
        {
            _listener.Start();
            Config = new TracingConfig(new Uri($"http://{_listener.LocalEndpoint}/v1/traces"), 1, null);
            _ = Task.Run(AcceptAsync);
        }

        public TracingConfig Config { get; }

        public bool Answers
        {
            get => _answers;
            set => _answers = value;
        }

        /// <summary>The numbers of the records of the next request.</summary>
        public async Task<IReadOnlyList<int>> NextAsync() => await _requests.Reader.ReadAsync().AsTask().WaitAsync(Deadline);

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync());
            }
        }

        private async Task ServeAsync(TcpClient client)
        {
            using var stream = client.GetStream();
            while (true)
            {
                var head = new List<byte>();
                while (!head.TakeLast(4).SequenceEqual("\r\n\r\n"u8.ToArray()))
                {
                    var one = new byte[1];
                    await stream.ReadExactlyAsync(one);
                    head.Add(one[0]);
                }

                var length = Encoding.ASCII.GetString([.. head]).Split("\r\n").Single(line => line.StartsWith("Content-Length: ", StringComparison.OrdinalIgnoreCase))["Content-Length: ".Length..];
                var body = new byte[int.Parse(length)];
                await stream.ReadExactlyAsync(body);
                _requests.Writer.TryWrite([.. SpanReader.Read(body).Spans.Select(span => HeldRecords.NumberIn((string)span.Attributes["url.path"]))]);
                if (Answers)
                {
                    await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
                }
            }
        }
    }
}
