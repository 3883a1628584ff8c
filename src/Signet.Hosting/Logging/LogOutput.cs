using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Telemetry;

namespace Signet.Hosting.Logging;

/// <summary>
/// Where a daemon's log goes. Lines pass through a bounded queue to one writer, so that a slow terminal or journal never slows traffic down; when the
/// queue is full, lines are dropped, counted (<c>signet.log.dropped</c>) and owned up to in the log. Thread-safe.
/// </summary>
public sealed class LogOutput : ILoggerFactory, ILogLevels, IAsyncDisposable
{
    /// <summary>How many lines may wait.</summary>
    public const int MaxWaiting = 8_192;

    private static readonly TimeSpan LastLinesTimeout = TimeSpan.FromSeconds(2);
    private static readonly Counter<long> Dropped = HostingMeter.Instance.CreateCounter<long>("signet.log.dropped", null, "Log lines dropped because the output was too slow");

    private readonly ConcurrentDictionary<string, AreaLogger> _loggers = new(StringComparer.Ordinal);
    private readonly Channel<string> _lines = Channel.CreateBounded<string>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly Stream _output;
    private readonly TimeProvider _time;
    private readonly ILogger _own;
    private readonly Task _writing;
    private LogConfig _config;
    private LevelChange? _change;
    private long _dropped;

    /// <param name="output">Where lines go, UTF-8: for a daemon standard error. Not disposed.</param>
    /// <param name="config">Level and format.</param>
    /// <param name="time">The clock.</param>
    public LogOutput(Stream output, LogConfig config, TimeProvider time)
    {
        (_output, _config, _time) = (output, config, time);
        _own = CreateLogger("Signet.Hosting.Logging");
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>Level and format; a new value is in force from the next line on.</summary>
    public LogConfig Config
    {
        get => Volatile.Read(ref _config);
        set => Volatile.Write(ref _config, value);
    }

    /// <inheritdoc/>
    public LevelChange? Change
    {
        get => Volatile.Read(ref _change) is { } change && _time.GetUtcNow() < change.Until ? change : null;
        set
        {
            Volatile.Write(ref _change, value);
            _own.LevelChanged(LogText.LevelName(Level), value is null || value.Until == DateTimeOffset.MaxValue ? "further notice" : LogText.Text(value.Until));
        }
    }

    /// <inheritdoc/>
    public LogLevel Configured => Config.Level;

    /// <summary>The lowest level that is written now.</summary>
    private LogLevel Level => Change?.Level ?? Config.Level;

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => _loggers.GetOrAdd(categoryName, name => new AreaLogger(this, name));

    /// <exception cref="NotSupportedException">Always: this is the one place where lines go.</exception>
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("The log has one output; give it another stream instead.");

    /// <summary>Waits a moment for the lines that still wait.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <inheritdoc cref="Dispose"/>
    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await Task.WhenAny(_writing, Task.Delay(LastLinesTimeout, _time)).ConfigureAwait(false);
    }

    private async Task WriteAsync()
    {
        await foreach (var line in _lines.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                await _output.WriteAsync(Encoding.UTF8.GetBytes(line + "\n")).ConfigureAwait(false);
                if (_lines.Reader.Count > 0)
                {
                    continue;
                }

                await _output.FlushAsync().ConfigureAwait(false);
                if (Interlocked.Exchange(ref _dropped, 0) is var dropped and > 0)
                {
                    _own.LinesDropped(dropped);
                }
            }
            catch (IOException)
            {
                // Whoever read the log has gone. The daemon is not there for its log.
                Dropped.Add(1);
            }
        }
    }

    private void Take(in LogEvent entry)
    {
        if (!_lines.Writer.TryWrite(Render(entry)))
        {
            Dropped.Add(1);
            Interlocked.Increment(ref _dropped);
        }
    }

    private string Render(in LogEvent entry)
    {
        var config = Config;
        var withStack = Level <= LogLevel.Debug;
        return config.Format == LogFormat.Json ? LogJson.Write(entry, withStack) : LogText.Write(entry, withStack);
    }

    private sealed class AreaLogger(LogOutput output, string category) : ILogger
    {
        private const string TemplateField = "{OriginalFormat}";
        private readonly bool _isForeign = !category.StartsWith("Signet.", StringComparison.Ordinal);

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        /// <summary>What the framework logs as information is debugging to us.</summary>
        public bool IsEnabled(LogLevel logLevel)
        {
            var lowest = output.Level;
            return logLevel != LogLevel.None && logLevel >= (_isForeign && lowest is LogLevel.Information ? LogLevel.Warning : lowest);
        }

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
            {
                return;
            }

            var fields = state as IReadOnlyList<KeyValuePair<string, object?>> ?? [];
            output.Take(new LogEvent(
                output._time.GetUtcNow(),
                logLevel,
                category,
                eventId,
                formatter(state, exception),
                fields.FirstOrDefault(field => field.Key == TemplateField).Value as string,
                [.. fields.Where(field => field.Key != TemplateField)],
                exception));
        }
    }
}
