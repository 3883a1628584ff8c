using Microsoft.AspNetCore.Connections;

namespace Signet.AspNetCore;

/// <summary>Closes a connection when the certificate that its peer came with expires: old connections live on, but not for ever.</summary>
internal static class ExpiringConnection
{
    /// <summary>Within what timers take; a longer life is looked at again then.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(30);

    public static void CloseAt(DateTimeOffset end, BaseConnectionContext connection, TimeProvider time)
    {
        ITimer? timer = null;
        timer = time.CreateTimer(_ => CloseOrWait(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        connection.ConnectionClosed.Register(timer.Dispose);
        CloseOrWait();

        void CloseOrWait()
        {
            var left = end - time.GetUtcNow();
            if (left <= TimeSpan.Zero)
            {
                connection.Abort(new ConnectionAbortedException("the peer's certificate has expired"));
            }
            else
            {
                timer!.Change(left < LongestWait ? left : LongestWait, Timeout.InfiniteTimeSpan);
            }
        }
    }
}
