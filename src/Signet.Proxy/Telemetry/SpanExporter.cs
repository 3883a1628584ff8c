using System.Net;
using System.Net.Http.Headers;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Signet.Proxy.Config;
using Signet.Proxy.Telemetry.Wire;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// Reports sampled requests as spans to a collector, many at a time and never in traffic's way: what does not fit its queue, or cannot be
/// delivered, is dropped and counted. Thread-safe. Dispose to deliver what is left, for a moment.
/// </summary>
internal sealed class SpanExporter : IAsyncDisposable
{
    /// <summary>How many spans may wait.</summary>
    public const int Capacity = 2048;

    private const int BatchSize = 512;
    private static readonly TimeSpan GatherTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LastTime = TimeSpan.FromSeconds(2);
    private static readonly MediaTypeHeaderValue MediaType = new("application/x-protobuf");

    private readonly Channel<AccessRecord> _spans = Channel.CreateBounded<AccessRecord>(new BoundedChannelOptions(Capacity) { SingleReader = true });
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _lastMoment = new();
    private readonly TracingConfig _config;
    private readonly ProxyMetrics _metrics;
    private readonly Func<double> _chance;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SpanWire _wire;
    private readonly HttpMessageInvoker _http;
    private readonly Task _exporting;
    private bool _isFailing;

    public SpanExporter(TracingConfig config, string service, ProxyMetrics metrics, Func<double> chance, TimeProvider time, ILogger logger)
    {
        (_config, _metrics, _chance, _time, _logger) = (config, metrics, chance, time, logger);
        _wire = new SpanWire(config.Service ?? service);
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ActivityHeadersPropagator = null,
            AutomaticDecompression = DecompressionMethods.None,
            MaxConnectionsPerServer = 1,
        });
        _exporting = Task.Run(ExportAsync);
    }

    /// <summary>Whether a trace that begins now is recorded.</summary>
    public bool Samples() => _config.Ratio > 0 && _chance() < _config.Ratio;

    /// <summary>Takes a finished record, if it is a part of a trace that is recorded.</summary>
    public void Offer(AccessRecord record)
    {
        if (record is { Method: not null, Trace: { IsSampled: true, SpanId: not null } } && !_spans.Writer.TryWrite(record))
        {
            _metrics.SpansDropped(1);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _spans.Writer.TryComplete();
        _lastMoment.CancelAfter(LastTime);
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _exporting.ConfigureAwait(false);
        _http.Dispose();
        _stopping.Dispose();
        _lastMoment.Dispose();
    }

    private async Task ExportAsync()
    {
        var batch = new List<AccessRecord>(BatchSize);
        while (await _spans.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            await Task.Delay(GatherTime, _time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            while (batch.Count < BatchSize && _spans.Reader.TryRead(out var record))
            {
                batch.Add(record);
            }

            await DeliverAsync(batch).ConfigureAwait(false);
            batch.Clear();
        }
    }

    private async Task DeliverAsync(List<AccessRecord> batch)
    {
        using var deadline = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _lastMoment.Token);
        string problem;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, _config.EndPoint) { Content = new ReadOnlyMemoryContent(_wire.Write(batch)) { Headers = { ContentType = MediaType } } };
            using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            if (response.IsSuccessStatusCode)
            {
                _isFailing = false;
                _metrics.SpansExported(batch.Count);
                return;
            }

            problem = $"it answered with status {(int)response.StatusCode}";
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            problem = e is OperationCanceledException ? "no answer in time" : e.Message;
        }

        _metrics.SpansDropped(batch.Count);
        if (!_isFailing)
        {
            Log.SpansNotDelivered(_logger, _config.EndPoint.ToString(), problem);
        }

        _isFailing = true;
    }
}
