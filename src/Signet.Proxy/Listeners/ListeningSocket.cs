using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Signet.Proxy.Native;

namespace Signet.Proxy.Listeners;

/// <summary>
/// A socket that listens, or is about to, and that another process may hold as well: so it is closed and nothing else, never shut down.
/// Owns its descriptor. Thread-safe.
/// </summary>
internal sealed class ListeningSocket : IDisposable
{
    private int _descriptor;

    private ListeningSocket(int descriptor, EndPoint place) => (_descriptor, Place) = (descriptor, place);

    /// <summary>Where it is bound; a Unix socket that was moved keeps the path it was bound to.</summary>
    public EndPoint Place { get; }

    /// <summary>Valid until disposed of.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Takes over what a bound socket stands for; the socket itself is disposed of.</summary>
    public static ListeningSocket From(Socket bound)
    {
        using (bound)
        {
            var descriptor = Libc.Duplicate((int)bound.Handle);
            return descriptor >= 0 ? new ListeningSocket(descriptor, bound.LocalEndPoint!) : throw new IOException($"a listening socket cannot be kept: {Libc.Words(Marshal.GetLastPInvokeError())}");
        }
    }

    /// <summary>Takes over a descriptor that another process sent. What is no listening stream socket is closed, and null.</summary>
    public static ListeningSocket? Received(int descriptor)
    {
        try
        {
            using var look = Borrowed(descriptor);
            var accepts = (int)look.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.AcceptConnection)! != 0;
            if (accepts && look is { SocketType: SocketType.Stream, LocalEndPoint: { } place })
            {
                return new ListeningSocket(descriptor, place);
            }
        }
        catch (SocketException)
        {
            // No socket at all.
        }

        _ = Libc.Close(descriptor);
        return null;
    }

    /// <summary>The same socket for code that wants the platform's type. Disposing of that closes nothing; what waits on it is to be cancelled before.</summary>
    public Socket Borrow() => Borrowed(_descriptor);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _descriptor, -1) is >= 0 and var descriptor)
        {
            _ = Libc.Close(descriptor);
        }
    }

    private static Socket Borrowed(int descriptor) => new(new SafeSocketHandle(descriptor, ownsHandle: false));
}
