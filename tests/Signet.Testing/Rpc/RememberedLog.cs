using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Signet.Testing.Rpc;

/// <summary>Log lines kept for a test to read.</summary>
public sealed class RememberedLog
{
    private readonly ConcurrentQueue<(int Id, string Line)> _lines = new();

    /// <summary>The lines with an event id, rendered, exceptions included.</summary>
    public IReadOnlyList<string> WithId(int id) => [.. _lines.Where(line => line.Id == id).Select(line => line.Line)];

    /// <summary>Feeds a log from an application.</summary>
    public sealed class Provider(RememberedLog log) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log._lines.Enqueue((eventId.Id, $"{formatter(state, exception)} {exception}"));

        public void Dispose()
        {
        }
    }
}
