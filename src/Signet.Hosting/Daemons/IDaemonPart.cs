namespace Signet.Hosting.Daemons;

/// <summary>
/// One thing that a daemon runs: a listener, a rotation loop, an endpoint. <see cref="DaemonHost"/> starts parts in order and stops them in reverse;
/// it calls each method once and one at a time.
/// </summary>
public interface IDaemonPart
{
    /// <summary>For the log.</summary>
    string Name { get; }

    /// <summary>Ends when <see cref="StopAsync"/> has stopped the part. Ending before, or a fault, ends the daemon.</summary>
    Task Completion { get; }

    /// <summary>Returns once the part works. What goes on afterwards is the part's own task, shown by <see cref="Completion"/>.</summary>
    /// <exception cref="Exception">The part can't start; the message is for the operator.</exception>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>Takes no new work, finishes what is under way and returns when nothing runs any more. Also called when the start failed half-way.</summary>
    /// <param name="cancellationToken">Fires when waiting has been long enough: drop what is under way.</param>
    Task StopAsync(CancellationToken cancellationToken);
}

/// <summary>A part that is one loop: it runs until it is told to stop.</summary>
/// <param name="name">For the log.</param>
/// <param name="run">The loop. Ends when its token fires; when it ends before, the daemon ends.</param>
public sealed class BackgroundPart(string name, Func<CancellationToken, Task> run) : IDaemonPart, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _running = Task.CompletedTask;

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public Task Completion => _completion.Task;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _running = Task.Run(RunAsync, CancellationToken.None);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops it, if it still runs.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None).ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            await run(_stop.Token).ConfigureAwait(false);
            _completion.TrySetResult();
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            _completion.TrySetResult();
        }
        catch (Exception e)
        {
            _completion.TrySetException(e);
        }
    }
}
