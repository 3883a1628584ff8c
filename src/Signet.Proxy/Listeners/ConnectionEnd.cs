using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Listeners;

/// <summary>How a connection ends that breaks or is closed, whatever it carried.</summary>
internal static class ConnectionEnd
{
    /// <summary>Serves a connection to its end. Where that is no fault of the proxy's, it is no exception either: the record says what happened.</summary>
    public static async Task OfAsync(AccessRecord record, LiveConnection live, Func<Task> serve)
    {
        try
        {
            await serve().ConfigureAwait(false);
        }
        catch (IOException e)
        {
            record.Detail ??= e.Message;
        }
        catch (OperationCanceledException) when (live.Closed is { } closed)
        {
            record.Refuse(closed.Reason, closed.Detail);
        }
    }
}
