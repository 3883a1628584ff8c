using System.Net.Security;
using Signet.Identity.Spiffe;

namespace Signet.Client.Tls;

/// <summary>Who is at the other end, proved and authorised. Immutable.</summary>
/// <param name="Id">The peer's SPIFFE ID.</param>
/// <param name="ExpiresAt">Until when that holds: the earliest end in its certificate path.</param>
public sealed record MutualTlsPeer(SpiffeId Id, DateTimeOffset ExpiresAt);

/// <summary>
/// A connection between two SVIDs, made by <see cref="MutualTls"/>. It closes itself when either certificate expires: reads and writes then throw an
/// <see cref="IOException"/> or <see cref="ObjectDisposedException"/>. As thread-safe as <see cref="SslStream"/>.
/// </summary>
public sealed class MutualTlsStream : SslStream
{
    /// <summary>Within what timers take; a longer life is looked at again then.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(30);

    private ITimer? _expiry;
    private MutualTlsPeer? _peer;

    internal MutualTlsStream(Stream transport)
        : base(transport, leaveInnerStreamOpen: false)
    {
    }

    /// <summary>Who is at the other end.</summary>
    public MutualTlsPeer Peer => _peer!;

    /// <summary>When the connection closes itself.</summary>
    public DateTimeOffset ExpiresAt { get; private set; }

    internal void Begin(MutualTlsPeer peer, DateTimeOffset ownEnd, TimeProvider time)
    {
        (_peer, ExpiresAt) = (peer, peer.ExpiresAt < ownEnd ? peer.ExpiresAt : ownEnd);
        _expiry = time.CreateTimer(_ => CloseIfExpired(time), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        CloseIfExpired(time);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        _expiry?.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _expiry?.Dispose();
        base.Dispose(disposing);
    }

    private void CloseIfExpired(TimeProvider time)
    {
        var left = ExpiresAt - time.GetUtcNow();
        if (left <= TimeSpan.Zero)
        {
            InnerStream.Dispose();
        }
        else
        {
            _expiry!.Change(left < LongestWait ? left : LongestWait, Timeout.InfiniteTimeSpan);
        }
    }
}
