namespace Signet.Proxy.Http2;

/// <summary>The bounds of a connection and where its time and turns come from. Sizes in octets. Immutable.</summary>
public sealed record Http2Options
{
    /// <summary>What the flow-control windows start with where no setting says otherwise (RFC 9113 §6.9.2).</summary>
    internal const int DefaultWindow = 65_535;

    /// <summary>How many streams may be open at once; a client opens no more even when its peer allows it. A server runs at most twice as many handlers, so that those which still end do not count against new ones.</summary>
    public int MaxConcurrentStreams { get; init; } = 1_000;

    /// <summary>What the peer may send on a stream ahead of its reader, and with it what a slow reader can make the connection keep. At least 65,535.</summary>
    public int StreamWindow { get; init; } = 256 * 1024;

    /// <summary>What the peer may send on all streams ahead of this side's next WINDOW_UPDATE. At least 65,535.</summary>
    public int ConnectionWindow { get; init; } = 1024 * 1024;

    /// <summary>What all streams together may keep for their readers before the peer must wait for them.</summary>
    public int MaxBuffered { get; init; } = 16 * 1024 * 1024;

    /// <summary>The size of a message's head, or of its trailers, as RFC 9113 §10.5.1 counts it. A block that is encoded in twice as much ends the connection.</summary>
    public int MaxHeaderList { get; init; } = 64 * 1024;

    /// <summary>Fields of a message's head, pseudo-headers included.</summary>
    public int MaxFields { get; init; } = 128;

    /// <summary>CONTINUATION frames of one block.</summary>
    public int MaxContinuations { get; init; } = 16;

    /// <summary>The time over which floods are counted.</summary>
    public TimeSpan FloodInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Streams per interval that the peer may reset before they are answered, or make this side reset by what it sends (rapid reset, CVE-2023-44487). Later resets are how
    /// connections in a tunnel break and calls are cancelled; whoever waits for an answer each time is held back by that.
    /// </summary>
    public int MaxResets { get; init; } = 2_000;

    /// <summary>
    /// A client's: streams per interval that it resets itself before the connection takes no new ones. Servers end connections for resets, each by a limit of its own; where
    /// many share one, those who reset their streams must not bring it there. No limit unless one is set.
    /// </summary>
    public int MaxOwnResets { get; init; } = int.MaxValue;

    /// <summary>PING and SETTINGS frames per interval.</summary>
    public int MaxControlFrames { get; init; } = 500;

    /// <summary>Frames per interval that move nothing forward: DATA without an octet, types that nobody knows, late ones.</summary>
    public int MaxIdleFrames { get; init; } = 10_000;

    /// <summary>How long the peer may take for its preface and its acknowledgement of this side's settings.</summary>
    public TimeSpan SettingsTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>After how long a silence the peer is asked for a sign of life.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the peer may take to give it.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a peer that was told to go may send requests that it sent before it knew; its PING answer ends the wait.</summary>
    public TimeSpan GoAwayGrace { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long last words may take to be read before the connection is broken, and before it how long a drained peer may take to end first.</summary>
    public TimeSpan LastWords { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a connection may have no stream before it is drained, as far as it is noticed when something else falls due; null: for ever.</summary>
    public TimeSpan? MaxIdle { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>
    /// Runs a callback on the thread that owns the transport, once its current turn is over; callable from any thread, never runs it at once.
    /// What several streams write during a turn then leaves in one write. Null where nobody owns the transport: then whoever writes, flushes.
    /// </summary>
    public Action<Action>? AtTurnEnd { get; init; }
}
