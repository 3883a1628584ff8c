using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Proxy.Capture;

namespace Signet.Proxy.Listeners;

/// <summary>
/// The one way to a listening socket: the one that the process before left at that place, or a new one. Thread-safe; dispose to close all
/// that are left.
/// </summary>
internal sealed class ListeningSockets : IDisposable
{
    private const int Backlog = 4096;

    private readonly Lock _gate = new();
    private readonly List<ListeningSocket> _inherited = [];
    private readonly List<ListeningSocket> _inUse = [];

    /// <summary>All that somebody listens on.</summary>
    public IReadOnlyList<ListeningSocket> InUse
    {
        get
        {
            lock (_gate)
            {
                return [.. _inUse];
            }
        }
    }

    /// <summary>Sockets of the process before, for whoever opens their places.</summary>
    public void Inherit(IEnumerable<ListeningSocket> sockets)
    {
        lock (_gate)
        {
            _inherited.AddRange(sockets);
        }
    }

    /// <summary>A socket that listens at a place.</summary>
    /// <param name="place">Where; port 0 takes a free one.</param>
    /// <param name="option">The configuration key that says so, for the error when it can't listen.</param>
    /// <param name="isTransparent">Whether it takes connections for any address.</param>
    /// <exception cref="CannotListenException">The place is taken or not this process's to have.</exception>
    public ListeningSocket Open(IPEndPoint place, string option, bool isTransparent)
    {
        var listening = TakeInherited(at => at.Equals(place));
        try
        {
            using var socket = listening?.Borrow() ?? new Socket(place.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            if (isTransparent)
            {
                OriginalDestination.MakeTransparent(socket);
            }

            if (listening is null)
            {
                socket.Bind(place);
                socket.Listen(Backlog);
                listening = ListeningSocket.From(socket);
            }

            return Use(listening);
        }
        catch (SocketException e)
        {
            listening?.Dispose();
            throw new CannotListenException(place, option, e);
        }
    }

    /// <summary>
    /// A socket that listens at a path and to which only this user can connect. The path leads to it from one moment to the next, or to
    /// nobody: a new one is bound beside and moved there.
    /// </summary>
    /// <exception cref="PlaceException">See <see cref="UnixSocketPath.Prepare"/>.</exception>
    public ListeningSocket OpenPrivate(string path)
    {
        if (TakeInherited(at => at is UnixDomainSocketEndPoint) is { } inherited)
        {
            return Use(inherited);
        }

        UnixSocketPath.Prepare(path);
        var beside = path + ".new";
        using var socket = UnixSocketPath.Bind(beside, UnixSocketPath.OwnerConnects);
        socket.Listen(Backlog);
        File.Move(beside, path, overwrite: true);
        return Use(ListeningSocket.From(socket));
    }

    /// <summary>The same for the web server, which listens by itself and has errors of its own.</summary>
    public Socket Lend(EndPoint place) =>
        Use(TakeInherited(at => at.Equals(place)) ?? ListeningSocket.From(SocketTransportOptions.CreateDefaultBoundListenSocket(place))).Borrow();

    /// <summary>Closes what the process before listened on and nobody has opened.</summary>
    /// <returns>Their places.</returns>
    public IReadOnlyList<EndPoint> CloseUnclaimed()
    {
        List<ListeningSocket> unclaimed;
        lock (_gate)
        {
            unclaimed = [.. _inherited];
            _inherited.Clear();
        }

        unclaimed.ForEach(socket => socket.Dispose());
        return [.. unclaimed.Select(socket => socket.Place)];
    }

    /// <summary>Closes one that somebody listened on.</summary>
    public void Close(ListeningSocket socket)
    {
        lock (_gate)
        {
            _inUse.Remove(socket);
        }

        socket.Dispose();
    }

    public void Dispose()
    {
        CloseUnclaimed();
        foreach (var socket in InUse)
        {
            Close(socket);
        }
    }

    private ListeningSocket? TakeInherited(Predicate<EndPoint> isWanted)
    {
        lock (_gate)
        {
            var found = _inherited.Find(socket => isWanted(socket.Place));
            if (found is not null)
            {
                _inherited.Remove(found);
            }

            return found;
        }
    }

    private ListeningSocket Use(ListeningSocket socket)
    {
        lock (_gate)
        {
            _inUse.Add(socket);
        }

        return socket;
    }
}
