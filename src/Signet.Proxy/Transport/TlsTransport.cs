using System.Net.Security;

namespace Signet.Proxy.Transport;

/// <summary>The inside of an established <see cref="SslStream"/> as a transport.</summary>
internal sealed class TlsTransport(SslStream stream, TransportStream inner, ITransport below) : ITransport
{
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int read;
        try
        {
            read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            throw new IOException(e.Message, e);
        }

        // Only close_notify ends a direction: a bare FIN could be anyone's on the path, and would cut a message short (RFC 8446 §6.1).
        return read > 0 || buffer.IsEmpty || !inner.ReachedEnd ? read : throw new IOException("the peer ended the connection without close_notify");
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            throw new IOException(e.Message, e);
        }
    }

    public async ValueTask EndWritesAsync(CancellationToken cancellationToken)
    {
        try
        {
            await stream.ShutdownAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            throw new IOException(e.Message, e);
        }

        await below.EndWritesAsync(cancellationToken).ConfigureAwait(false);
    }

    public void Abort() => below.Abort();

    public ValueTask DisposeAsync() => stream.DisposeAsync();
}
