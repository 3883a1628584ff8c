using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Proxy.Handover.Wire;
using Signet.Proxy.Listeners;

namespace Signet.Proxy.Handover;

/// <summary>
/// The proxy that runs already, as the one that is to follow it sees it: gives its sockets, goes on until this one is ready, and then makes
/// room. Should it end before, this one has the sockets and needs no leave. Dispose without <see cref="ServingAsync"/> and it goes on as before.
/// </summary>
internal sealed class Predecessor : IDisposable
{
    /// <summary>For each answer that takes no waiting for others.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly HandoverChannel _channel;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private Task<HandoverFrame?>? _answer;

    private Predecessor(HandoverChannel channel, TimeProvider time, ILogger logger) => (_channel, _time, _logger) = (channel, time, logger);

    /// <summary>Its process.</summary>
    public int Pid { get; private set; }

    /// <summary>Asks the proxy that listens at the path for its sockets.</summary>
    /// <returns>Null when there is none.</returns>
    /// <exception cref="HandoverException">There is one, and it gives nothing; the message says why.</exception>
    public static async Task<Predecessor?> FindAsync(string path, ListeningSockets sockets, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        if (await ConnectAsync(path, time, cancellationToken).ConfigureAwait(false) is not { } channel)
        {
            return null;
        }

        var predecessor = new Predecessor(channel, time, logger);
        var isWilling = false;
        try
        {
            isWilling = await predecessor.TakeSocketsAsync(path, sockets, cancellationToken).ConfigureAwait(false);
            return isWilling ? predecessor : null;
        }
        finally
        {
            if (!isWilling)
            {
                predecessor.Dispose();
            }
        }
    }

    /// <summary>Waits until this proxy is ready, or the other has ended and ready or not is no longer the question.</summary>
    /// <exception cref="HandoverException">The other goes on, because this one took too long or because it says so.</exception>
    public async Task UntilReadyAsync(Task ready, TimeSpan patience, CancellationToken cancellationToken)
    {
        _answer = AnswerAsync(cancellationToken);
        try
        {
            await Task.WhenAny(ready, _answer).WaitAsync(patience, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new HandoverException($"this proxy was not ready within {DurationText.Format(patience)}, so process {Pid} goes on");
        }

        if (_answer.IsCompleted)
        {
            DemandLeave(await _answer.ConfigureAwait(false));
        }
    }

    /// <summary>Waits until the other has stopped accepting; connections wait in the kernel's queues meanwhile.</summary>
    /// <inheritdoc cref="UntilReadyAsync"/>
    public async Task TakeOverAsync(CancellationToken cancellationToken)
    {
        Tell(new HandoverFrame.TakeOver());
        DemandLeave(await WithinPatienceAsync(_answer!, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>This proxy accepts; the other may drain and end.</summary>
    /// <exception cref="HandoverException">The other has lost patience before and accepts again: one of the two has to go, and this one is younger.</exception>
    public async Task ServingAsync(CancellationToken cancellationToken)
    {
        Tell(new HandoverFrame.Serving());
        if (await WithinPatienceAsync(AnswerAsync(cancellationToken), cancellationToken).ConfigureAwait(false) is HandoverFrame.Refusal refusal)
        {
            throw new HandoverException($"process {Pid} goes on: {refusal.Reason}");
        }
    }

    public void Dispose() => _channel.Dispose();

    private static async Task<HandoverChannel?> ConnectAsync(string path, TimeProvider time, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            using var deadline = new CancellationTokenSource(Patience, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), both.Token).ConfigureAwait(false);
            return new HandoverChannel(socket);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
        {
            // Nobody holds it, or nothing is there.
            socket.Dispose();
            return null;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            throw new HandoverException($"the proxy that listens at {path} cannot be asked: {e.Message}");
        }
    }

    /// <summary>False when it ended meanwhile.</summary>
    private async Task<bool> TakeSocketsAsync(string path, ListeningSockets sockets, CancellationToken cancellationToken)
    {
        if (!_channel.IsOwn)
        {
            throw new HandoverException($"{path} belongs to a process of user {_channel.PeerUid}, not of the user who runs this proxy; choose another path with \"handover\"");
        }

        Tell(new HandoverFrame.Hello(HandoverFrame.Version));
        for (var offers = 0; ; offers++)
        {
            var (frame, given) = await WithinPatienceAsync(_channel.ReceiveAsync(cancellationToken), cancellationToken).ConfigureAwait(false);
            sockets.Inherit(given);
            switch (frame)
            {
                case HandoverFrame.Offer offer when offers < HandoverFrame.MaxOffers:
                    Pid = offer.Pid;
                    if (offer.IsLast)
                    {
                        return true;
                    }

                    break;
                case null:
                    return false;
                case HandoverFrame.Refusal refusal:
                    throw new HandoverException($"the running proxy does not make room: {refusal.Reason}");
                default:
                    throw new HandoverException($"whoever listens at {path} answers something else than it was asked");
            }
        }
    }

    private async Task<HandoverFrame?> AnswerAsync(CancellationToken cancellationToken) => (await _channel.ReceiveAsync(cancellationToken).ConfigureAwait(false)).Frame;

    private async Task<T> WithinPatienceAsync<T>(Task<T> answer, CancellationToken cancellationToken)
    {
        try
        {
            return await answer.WaitAsync(Patience, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new HandoverException($"the running proxy did not answer within {DurationText.Format(Patience)}");
        }
    }

    private void DemandLeave(HandoverFrame? answer)
    {
        switch (answer)
        {
            case HandoverFrame.Yours:
                return;
            case null:
                Log.PredecessorGone(_logger, Pid);
                return;
            case HandoverFrame.Refusal refusal:
                throw new HandoverException($"process {Pid} goes on: {refusal.Reason}");
            default:
                throw new HandoverException($"process {Pid} answers something else than it was asked");
        }
    }

    /// <summary>One that has ended cannot be told, and need not be: its end is what is received next.</summary>
    private void Tell(HandoverFrame frame)
    {
        try
        {
            _channel.Send(frame);
        }
        catch (HandoverException)
        {
            // Received next.
        }
    }
}
