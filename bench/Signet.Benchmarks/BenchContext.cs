namespace Signet.Benchmarks;

/// <summary>What a benchmark gets: where to tell its figures, and whether this is only a trial.</summary>
/// <param name="Out">Where tables go.</param>
/// <param name="IsQuick">Measure just long enough to see that everything works.</param>
internal sealed record BenchContext(TextWriter Out, bool IsQuick, CancellationToken Cancellation)
{
    public TimeProvider Time => TimeProvider.System;

    /// <summary>The time to measure for, or a fraction of it in a trial.</summary>
    public TimeSpan Span(double seconds) => TimeSpan.FromSeconds(IsQuick ? Math.Max(0.5, seconds / 8) : seconds);

    public int Count(int count) => IsQuick ? Math.Max(2, count / 10) : count;
}

/// <summary>A figure could not be taken; the message says why and what to do.</summary>
internal sealed class BenchException(string message) : Exception(message);
