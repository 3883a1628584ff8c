namespace Signet.Proxy.Http2;

/// <summary>What a peer can send at little cost to itself.</summary>
internal enum FloodKind
{
    Reset,
    Control,
    Idle,

    /// <summary>Resets that this side sends as client, each of which the peer counts in turn.</summary>
    OwnReset,
}

/// <summary>Counts such frames over fixed intervals. A pure function of the times it is given, apart from its counts.</summary>
internal sealed class FloodGuard(Http2Options options)
{
    private readonly int[] _counts = new int[4];
    private long? _intervalStart;

    /// <summary>Counts one more.</summary>
    /// <param name="kind">Of what.</param>
    /// <param name="now">A timestamp of the options' clock.</param>
    /// <returns>Whether it is still within the limit.</returns>
    public bool Allows(FloodKind kind, long now)
    {
        if (_intervalStart is not { } start || options.Time.GetElapsedTime(start, now) >= options.FloodInterval)
        {
            _intervalStart = now;
            Array.Clear(_counts);
        }

        return ++_counts[(int)kind] <= kind switch
        {
            FloodKind.Reset => options.MaxResets,
            FloodKind.Control => options.MaxControlFrames,
            FloodKind.OwnReset => options.MaxOwnResets,
            _ => options.MaxIdleFrames,
        };
    }
}
