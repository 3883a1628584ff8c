namespace Signet.Proxy.Connections;

/// <summary>
/// Notices when memory is worth giving back: when many connections have gone, and when work has ended that left much behind. Each once, and
/// not again before as much has come. Asked at regular intervals. Pure; one caller.
/// </summary>
internal sealed class Ebb
{
    /// <summary>Fewer connections than this are not worth a pause.</summary>
    private const int Many = 1000;

    /// <summary>Bytes allocated since the last time that are not worth one either.</summary>
    private const long Little = 4 * 1024 * 1024;

    /// <summary>Bytes allocated between two looks while nothing goes on but timers.</summary>
    private const long Idle = 32 * 1024;

    /// <summary>So many looks in a row make a rest.</summary>
    private const int Rest = 5;

    private int _peak;
    private long _lastAllocated;
    private long _allocatedThen;
    private int _idleLooks;

    /// <summary>Whether to give memory back now.</summary>
    /// <param name="connections">How many there are.</param>
    /// <param name="allocated">Bytes ever allocated.</param>
    /// <param name="inUse">Bytes of the heap after the last collection: what is left behind counts only beside it, since collecting takes the longer the more there is.</param>
    public bool HasCome(int connections, long allocated, long inUse)
    {
        _peak = Math.Max(_peak, connections);
        _idleLooks = allocated - _lastAllocated < Idle ? _idleLooks + 1 : 0;
        _lastAllocated = allocated;
        var haveGone = _peak - connections >= Many && connections <= _peak / 2;
        var hasEnded = _idleLooks >= Rest && allocated - _allocatedThen > Math.Max(Little, inUse / 2);
        if (!haveGone && !hasEnded)
        {
            return false;
        }

        (_peak, _allocatedThen, _idleLooks) = (connections, allocated, 0);
        return true;
    }
}
