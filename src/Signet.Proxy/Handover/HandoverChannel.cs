using System.Net.Sockets;
using System.Runtime.InteropServices;
using Signet.Hosting;
using Signet.Proxy.Handover.Wire;
using Signet.Proxy.Listeners;
using Signet.Proxy.Native;

namespace Signet.Proxy.Handover;

/// <summary>One end of the conversation between a running proxy and the one that is to follow it. One caller at a time; owns its socket.</summary>
internal sealed class HandoverChannel : IDisposable
{
    private const int SocketLevel = 1;
    private const int PeerCredentials = 17;

    private readonly Socket _socket;

    /// <param name="socket">Connected, a Unix stream.</param>
    public HandoverChannel(Socket socket)
    {
        _socket = socket;

        // struct ucred of unix(7).
        Span<int> credentials = stackalloc int[3];
        socket.GetRawSocketOption(SocketLevel, PeerCredentials, MemoryMarshal.AsBytes(credentials));
        (PeerPid, PeerUid) = (credentials[0], (uint)credentials[1]);
    }

    /// <summary>Who connected. The one who listens is known by uid alone: the socket may have been made by a process that has ended.</summary>
    public int PeerPid { get; }

    public uint PeerUid { get; }

    /// <summary>Whether both ends belong to the same user.</summary>
    public bool IsOwn => PeerUid == NativeUser.EffectiveId();

    /// <summary>Sends a frame, and with it sockets, of which the other end gets descriptors of its own.</summary>
    /// <exception cref="HandoverException">The other end is gone or does not read.</exception>
    public void Send(HandoverFrame frame, IEnumerable<ListeningSocket>? sockets = null)
    {
        var bytes = frame.Write();
        var descriptors = sockets?.Select(socket => socket.Descriptor).ToArray() ?? [];
        if (Libc.SendWithDescriptors((int)_socket.Handle, bytes, descriptors) != bytes.Length)
        {
            throw new HandoverException($"the other process cannot be told: {Libc.Words(Marshal.GetLastPInvokeError())}");
        }
    }

    /// <summary>Waits for a frame.</summary>
    /// <returns>The frame and what came with it, which is the caller's; a null frame when the other end has closed.</returns>
    /// <exception cref="HandoverException">What came is no frame.</exception>
    /// <exception cref="OperationCanceledException">The caller waits no longer.</exception>
    public async Task<(HandoverFrame? Frame, IReadOnlyList<ListeningSocket> Sockets)> ReceiveAsync(CancellationToken cancellationToken)
    {
        var bytes = new byte[HandoverFrame.HeadLength + HandoverFrame.MaxBody];
        var descriptors = new List<int>();
        var isWhole = false;
        try
        {
            var (count, wanted) = (0, HandoverFrame.HeadLength);
            while (count < wanted)
            {
                var received = await ReceiveAsync(bytes.AsMemory(count, wanted - count), descriptors, cancellationToken).ConfigureAwait(false);
                if (received == 0)
                {
                    return count == 0 ? (null, []) : throw new HandoverException("the other process ended within a frame");
                }

                count += received;
                if (count == HandoverFrame.HeadLength)
                {
                    wanted += HandoverFrame.TryReadHead(bytes.AsSpan(0, count), out var length, out var bad) ? length : throw new HandoverException(bad);
                }
            }

            if (!HandoverFrame.TryRead(bytes.AsSpan(0, count), out var frame, out var problem) || (descriptors.Count > 0 && frame is not HandoverFrame.Offer))
            {
                throw new HandoverException(problem.Length > 0 ? problem : "descriptors came with a frame that has none");
            }

            isWhole = true;
            return (frame, Sockets(descriptors));
        }
        finally
        {
            if (!isWhole)
            {
                descriptors.ForEach(descriptor => Libc.Close(descriptor));
            }
        }
    }

    /// <summary>Says why this is the end, if anybody still listens.</summary>
    public void Refuse(string reason)
    {
        try
        {
            Send(new HandoverFrame.Refusal(reason));
        }
        catch (HandoverException)
        {
            // Nobody does.
        }
    }

    public void Dispose() => _socket.Dispose();

    private async ValueTask<int> ReceiveAsync(Memory<byte> into, List<int> descriptors, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Nothing is asked for: it only waits until there is something.
            try
            {
                await _socket.ReceiveAsync(Memory<byte>.Empty, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                return 0;
            }

            if (TryReceive(into.Span, descriptors) is { } received)
            {
                return received;
            }
        }
    }

    /// <summary>Null when there is nothing after all.</summary>
    private int? TryReceive(Span<byte> into, List<int> descriptors)
    {
        Span<int> room = stackalloc int[HandoverFrame.MaxSockets];
        var received = Libc.ReceiveWithDescriptors((int)_socket.Handle, into, room, out var count, out var wasTruncated);
        descriptors.AddRange(room[..count]);
        if (wasTruncated || descriptors.Count > HandoverFrame.MaxSockets)
        {
            throw new HandoverException($"more descriptors than the {HandoverFrame.MaxSockets} of a frame");
        }

        return received >= 0 ? (int)received : Marshal.GetLastPInvokeError() is Libc.EAgain or Libc.EIntr ? null : 0;
    }

    private static List<ListeningSocket> Sockets(List<int> descriptors)
    {
        var sockets = descriptors.ConvertAll(ListeningSocket.Received);
        if (!sockets.Contains(null))
        {
            return sockets!;
        }

        sockets.ForEach(socket => socket?.Dispose());
        throw new HandoverException("a descriptor that came is no listening socket");
    }
}
