using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Signet.Proxy.Config;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// Writes records from a thread of its own, in order and many at a time: traffic hands a record over and never waits for its log. When the
/// output cannot keep up for <see cref="Capacity"/> records, further ones are dropped and counted. Dispose to write what is left, for a moment.
/// </summary>
internal sealed class AccessLog : IAsyncDisposable
{
    /// <summary>How many records may wait.</summary>
    public const int Capacity = 8192;

    /// <summary>How long a line may wait for others to be written with.</summary>
    private const int GatherMilliseconds = 20;
    private const int WriteSize = 64 * 1024;
    private static readonly TimeSpan LastTime = TimeSpan.FromSeconds(2);

    private readonly ConcurrentQueue<AccessRecord> _records = new();
    private readonly AutoResetEvent _hasWork = new(initialState: false);
    private readonly ManualResetEventSlim _isStopping = new(initialState: false, spinCount: 0);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly LineBuffer _lines = new();
    private readonly IAccessFormat _format;
    private readonly AccessLogConfig _config;
    private readonly ProxyMetrics _metrics;
    private readonly ILogger _logger;
    private readonly SpanExporter? _spans;
    private readonly Stream _output;
    private int _waiting;
    private bool _isFailing;

    /// <exception cref="IOException">The file cannot be opened.</exception>
    public AccessLog(AccessLogConfig config, SpanExporter? spans, ProxyMetrics metrics, ILogger logger)
    {
        (_config, _spans, _metrics, _logger, _format) = (config, spans, metrics, logger, config.NewFormat());
        _output = config.Path is { } path
            ? new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0)
            : Console.OpenStandardOutput();
        new Thread(WriteAll) { IsBackground = true, Name = "access log" }.Start();
    }

    /// <summary>Those who watch records as they are written.</summary>
    public AccessTaps Taps { get; } = new();

    /// <summary>Says whether a trace that begins now is recorded; null where none is.</summary>
    public Func<bool>? Sampler => _spans is null ? null : _spans.Samples;

    /// <summary>Takes a record that will not change any more: counts it, shows it to those who watch, reports it, and has its line written.</summary>
    public void Write(AccessRecord record)
    {
        _metrics.Count(record);
        Taps.Offer(record);
        _spans?.Offer(record);
        if (!IsWanted(record))
        {
            return;
        }

        switch (Interlocked.Increment(ref _waiting))
        {
            case > Capacity:
                Interlocked.Decrement(ref _waiting);
                _metrics.RecordsDropped(1);
                return;
            case 1:
                _records.Enqueue(record);
                _hasWork.Set();
                return;
            default:
                _records.Enqueue(record);
                return;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _isStopping.Set();
        _hasWork.Set();
        await _ended.Task.WaitAsync(LastTime).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_ended.Task.IsCompleted)
        {
            // The thread waits for an output that takes nothing, and ends with the process.
            Fail("it takes nothing, and the proxy ends");
            return;
        }

        await _output.DisposeAsync().ConfigureAwait(false);
        _hasWork.Dispose();
        _isStopping.Dispose();
    }

    private bool IsWanted(AccessRecord record) => _config.Only switch
    {
        AccessLogFilter.Refused => record.IsDenied,
        AccessLogFilter.Errors => record.Refusal is not null || record.Code >= 400,
        _ => true,
    };

    private void WriteAll()
    {
        while (!_isStopping.IsSet)
        {
            _hasWork.WaitOne();
            _isStopping.Wait(GatherMilliseconds);
            WriteWaiting();
        }

        WriteWaiting();
        _ended.SetResult();
    }

    private void WriteWaiting()
    {
        do
        {
            var count = 0;
            for (; _lines.Length < WriteSize && _records.TryDequeue(out var record); count++)
            {
                _format.Write(_lines, record);
            }

            Put(count);
            if (Interlocked.Add(ref _waiting, -count) > 0 && count == 0)
            {
                // Somebody has counted a record and is about to hand it over.
                Thread.Yield();
            }
        }
        while (Volatile.Read(ref _waiting) > 0);
    }

    private void Put(int count)
    {
        try
        {
            _output.Write(_lines.Span);
            _isFailing = false;
        }
        catch (IOException e)
        {
            _metrics.RecordsDropped(count);
            if (!_isFailing)
            {
                Fail(e.Message);
            }

            _isFailing = true;
        }

        _lines.Clear();
    }

    private void Fail(string problem) => Log.AccessLogFailed(_logger, _config.Path ?? "standard output", problem);
}
