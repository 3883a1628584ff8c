using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Signet.Proxy.Config;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// Writes records in the background, in order. When the output cannot keep up for <see cref="Capacity"/> records, further ones are dropped
/// and counted: traffic never waits for its log. Dispose to write what is left.
/// </summary>
internal sealed class AccessLog : IAsyncDisposable
{
    private const int Capacity = 8192;

    private readonly Channel<AccessRecord> _records = Channel.CreateBounded<AccessRecord>(new BoundedChannelOptions(Capacity) { SingleReader = true });
    private readonly AccessLogConfig _config;
    private readonly ProxyMetrics _metrics;
    private readonly ILogger _logger;
    private readonly Stream _output;
    private readonly Task _writer;
    private bool _isFailing;

    /// <exception cref="IOException">The file cannot be opened.</exception>
    public AccessLog(AccessLogConfig config, ProxyMetrics metrics, ILogger logger)
    {
        (_config, _metrics, _logger) = (config, metrics, logger);
        _output = config.Path is { } path ? new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete) : Console.OpenStandardOutput();
        _writer = Task.Run(WriteAllAsync);
    }

    public void Write(AccessRecord record)
    {
        _metrics.Count(record);
        if (!_records.Writer.TryWrite(record))
        {
            _metrics.RecordDropped();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _records.Writer.TryComplete();
        await _writer.ConfigureAwait(false);
        await _output.DisposeAsync().ConfigureAwait(false);
    }

    private async Task WriteAllAsync()
    {
        while (await _records.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            try
            {
                while (_records.Reader.TryRead(out var record))
                {
                    await _output.WriteAsync(AccessLine.Of(record, _config.Format)).ConfigureAwait(false);
                }

                await _output.FlushAsync().ConfigureAwait(false);
                _isFailing = false;
            }
            catch (IOException e)
            {
                _metrics.RecordDropped();
                if (!_isFailing)
                {
                    Log.AccessLogFailed(_logger, _config.Path ?? "standard output", e.Message);
                }

                _isFailing = true;
            }
        }
    }
}
