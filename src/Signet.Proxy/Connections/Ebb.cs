namespace Signet.Proxy.Connections;

/// <summary>
/// Notices when many connections have gone: what they needed is then worth giving back, once, and not again before as many have come and gone.
/// Pure; one caller.
/// </summary>
internal sealed class Ebb
{
    /// <summary>Fewer than this are not worth a pause.</summary>
    internal const int Many = 1000;

    private int _peak;

    /// <summary>Whether most of many connections have gone since the last time.</summary>
    public bool HasCome(int connections)
    {
        _peak = Math.Max(_peak, connections);
        if (_peak - connections < Many || connections > _peak / 2)
        {
            return false;
        }

        _peak = connections;
        return true;
    }
}
