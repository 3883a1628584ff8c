using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>A connection in the shape that an HTTP client of the platform wants. Owns the connection.</summary>
internal sealed class UpstreamStream(UpstreamConnection connection) : TransportStream(connection.Transport)
{
    public override ValueTask DisposeAsync() => connection.DisposeAsync();

    /// <summary>The HTTP client closes what it has finished with in this way; the socket is closed at once.</summary>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            connection.Transport.Abort();
            connection.Leave();
        }

        base.Dispose(disposing);
    }
}
