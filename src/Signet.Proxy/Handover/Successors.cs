using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Proxy.Handover.Wire;
using Signet.Proxy.Listeners;

namespace Signet.Proxy.Handover;

/// <summary>
/// Where the process that is to follow this one asks for its listening sockets. One at a time; whoever comes meanwhile is told so. Until it
/// says that it serves, this process can go on as before, and does whenever something is amiss.
/// </summary>
internal sealed class Successors(string path, ProxyCore core, ListeningSockets sockets, Func<Task> pause, Func<Task> resume) : IAsyncDisposable
{
    /// <summary>Conversations at once; more wait in the kernel's queue.</summary>
    private const int MaxConversations = 8;

    private readonly TaskCompletionSource _succeeded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // None of these holds anything that needs releasing.
    private readonly CancellationTokenSource _stopAccepting = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _room = new(MaxConversations);
    private ListeningSocket? _listening;
    private Task _accepting = Task.CompletedTask;
    private int _pidOfNext;

    /// <summary>Completes when another process has taken over: this one is to drain and end.</summary>
    public Task Succeeded => _succeeded.Task;

    /// <exception cref="Hosting.Files.PlaceException">The path cannot be had.</exception>
    public void Start()
    {
        var listening = sockets.OpenPrivate(path);
        _listening = listening;
        _accepting = Task.Run(() => AcceptAsync(listening), CancellationToken.None);
    }

    /// <summary>Nobody can take over any more.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _listening, null) is { } listening)
        {
            if (!Succeeded.IsCompleted)
            {
                // First the path, then the socket: whoever finds the path finds somebody there.
                File.Delete(path);
            }

            await _stopAccepting.CancelAsync().ConfigureAwait(false);
            await _stop.CancelAsync().ConfigureAwait(false);
            await _accepting.ConfigureAwait(false);
            sockets.Close(listening);
        }
    }

    private async Task AcceptAsync(ListeningSocket listening)
    {
        var conversations = new HashSet<Task>();
        using var socket = listening.Borrow();
        try
        {
            while (true)
            {
                await _room.WaitAsync(_stopAccepting.Token).ConfigureAwait(false);
                var accepted = await socket.AcceptAsync(_stopAccepting.Token).ConfigureAwait(false);
                conversations.RemoveWhere(task => task.IsCompleted);
                conversations.Add(Task.Run(() => ConverseAsync(accepted), CancellationToken.None));
            }
        }
        catch (OperationCanceledException)
        {
            // Another has taken over, or the proxy stops.
        }
        catch (SocketException e)
        {
            Log.HandoverClosed(core.Logger, path, e.Message);
        }

        await Task.WhenAll(conversations).ConfigureAwait(false);
    }

    private async Task ConverseAsync(Socket socket)
    {
        using var channel = new HandoverChannel(socket);
        try
        {
            await ConverseAsync(channel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HandoverException or OperationCanceledException)
        {
            var problem = _stop.IsCancellationRequested ? "this proxy drains" : e.Message;
            channel.Refuse(problem);
            core.Metrics.HandedOver("refused");
            Log.SuccessorRefused(core.Logger, channel.PeerPid, channel.PeerUid, problem);
        }
        finally
        {
            _room.Release();
        }
    }

    private async Task ConverseAsync(HandoverChannel channel)
    {
        if (!channel.IsOwn)
        {
            throw new HandoverException("it belongs to another user than this proxy");
        }

        if (await ReceiveAsync(channel, Predecessor.Patience, "say what it wants").ConfigureAwait(false) is not HandoverFrame.Hello hello)
        {
            throw new HandoverException("it did not begin as a successor does");
        }

        if (hello.Speaks != HandoverFrame.Version)
        {
            throw new HandoverException($"this proxy speaks version {HandoverFrame.Version} of the handover, not {hello.Speaks}; stop it and start the other");
        }

        if (Interlocked.CompareExchange(ref _pidOfNext, channel.PeerPid, 0) is not 0 and var other)
        {
            throw new HandoverException($"process {other} is already taking over");
        }

        try
        {
            await HandOverAsync(channel).ConfigureAwait(false);
        }
        finally
        {
            if (!Succeeded.IsCompleted)
            {
                Volatile.Write(ref _pidOfNext, 0);
            }
        }
    }

    private async Task HandOverAsync(HandoverChannel channel)
    {
        // 1. The sockets. Both have them from now on; only this process accepts.
        var offered = sockets.InUse.Take(HandoverFrame.MaxSockets * HandoverFrame.MaxOffers).Chunk(HandoverFrame.MaxSockets).ToList();
        for (var i = 0; i < offered.Count; i++)
        {
            channel.Send(new HandoverFrame.Offer(IsLast: i == offered.Count - 1, Environment.ProcessId), offered[i]);
        }

        Log.SuccessorComes(core.Logger, channel.PeerPid, offered.Sum(some => some.Length));

        // 2. It makes itself ready, however long its identity takes.
        await DemandAsync<HandoverFrame.TakeOver>(channel, core.Config.Timeouts.Handover, "become ready").ConfigureAwait(false);

        // 3. Nobody accepts: a connection that comes now waits for whoever accepts next. With both accepting, one could be reported to this
        // process alone, at the moment when it no longer looks.
        await pause().ConfigureAwait(false);
        try
        {
            channel.Send(new HandoverFrame.Yours());
            await DemandAsync<HandoverFrame.Serving>(channel, Predecessor.Patience, "serve").ConfigureAwait(false);
        }
        catch
        {
            await resume().ConfigureAwait(false);
            throw;
        }

        core.Metrics.HandedOver("given");
        Log.Succeeded(core.Logger, channel.PeerPid);
        await _stopAccepting.CancelAsync().ConfigureAwait(false);
        _succeeded.TrySetResult();
    }

    private async Task DemandAsync<TFrame>(HandoverChannel channel, TimeSpan patience, string what)
        where TFrame : HandoverFrame
    {
        if (await ReceiveAsync(channel, patience, what).ConfigureAwait(false) is not TFrame)
        {
            throw new HandoverException($"it spoke out of turn when it was to {what}");
        }
    }

    private async Task<HandoverFrame> ReceiveAsync(HandoverChannel channel, TimeSpan patience, string what)
    {
        using var deadline = new CancellationTokenSource(patience, core.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _stop.Token);
        try
        {
            var (frame, given) = await channel.ReceiveAsync(both.Token).ConfigureAwait(false);
            foreach (var socket in given)
            {
                socket.Dispose();
            }

            return frame ?? throw new HandoverException($"it ended before it could {what}");
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            throw new HandoverException($"it did not {what} within {DurationText.Format(patience)}");
        }
    }
}
