namespace Signet.Proxy.Transport;

/// <summary>
/// A byte stream between two processes with its own end in each direction: what relays, codecs and TLS run over, whether the bytes below
/// are a socket, a TLS session or the loop's. One reader and one writer at a time; disposing closes both directions.
/// </summary>
public interface ITransport : IAsyncDisposable
{
    /// <summary>Reads some bytes; 0 means that the peer has ended its direction. With an empty buffer: waits until there is something to read.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Writes all bytes; completes when they are handed to the layer below, which is the back-pressure.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Ends this side's direction (FIN, or close_notify and FIN); reading goes on.</summary>
    ValueTask EndWritesAsync(CancellationToken cancellationToken);

    /// <summary>Breaks the connection so that the peer sees a reset, not an end that could be taken for a complete message.</summary>
    void Abort();
}
