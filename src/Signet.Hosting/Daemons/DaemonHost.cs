using Microsoft.Extensions.Logging;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;

namespace Signet.Hosting.Daemons;

/// <summary>What every role hands to <see cref="DaemonHost"/> beside its parts.</summary>
/// <param name="Name">The role, as <c>server</c>.</param>
/// <param name="Readiness">Says "not ready" from the first moment of draining on.</param>
/// <param name="ServiceManager">systemd, if it listens.</param>
/// <param name="Time">The clock.</param>
/// <param name="Logs">Where it logs.</param>
public sealed record Daemon(string Name, ReadinessBoard Readiness, ServiceManager ServiceManager, TimeProvider Time, ILoggerFactory Logs)
{
    /// <summary>How long parts may drain before they are told to drop what is under way.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Completes when another process has taken over, or all work is done: the daemon drains and ends, and the service is none the worse. Null: that can't happen.</summary>
    public Task? Succeeded { get; init; }
}

/// <summary>Runs a role from its first part's start to its last part's stop. The one way to start any role.</summary>
public static class DaemonHost
{
    /// <summary>The name of the condition that says whether the daemon as a whole runs.</summary>
    public const string ReadinessName = "daemon";

    /// <summary>What a part gets to end at once after it was told to drop everything.</summary>
    private static readonly TimeSpan LastGrace = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Starts the parts in order, waits for a termination or a part's failure, and stops them in reverse order. A part that can't start stops the
    /// others; none is left running.
    /// </summary>
    /// <returns>The exit code: 0 after a termination, 1 after a failure.</returns>
    public static async Task<int> RunAsync(Daemon daemon, IReadOnlyList<IDaemonPart> parts, Termination termination)
    {
        var log = daemon.Logs.CreateLogger("Signet.Hosting.Daemons");
        var begun = new Stack<IDaemonPart>();
        var exitCode = 0;
        var isTheService = false;
        daemon.Readiness.Set(ReadinessName, Readiness.NotReady("starting"));
        using var watchdogStop = new CancellationTokenSource();
        var watchdog = WatchdogAsync(daemon, watchdogStop.Token);
        try
        {
            foreach (var part in parts)
            {
                begun.Push(part);
                await part.StartAsync(termination.Requested).ConfigureAwait(false);
                log.PartStarted(part.Name);
            }

            daemon.Readiness.Set(ReadinessName, Readiness.Ready);
            daemon.ServiceManager.Ready();
            isTheService = true;
            log.DaemonStarted(daemon.Name);

            var told = Task.Delay(Timeout.InfiniteTimeSpan, daemon.Time, termination.Requested);
            var ended = await Task.WhenAny([told, daemon.Succeeded ?? told, .. parts.Select(part => part.Completion)]).ConfigureAwait(false);
            await ended.ConfigureAwait(false);
            isTheService = ended != daemon.Succeeded;
            if (isTheService)
            {
                throw new InvalidOperationException($"{parts.First(part => part.Completion.IsCompleted).Name} ended though nobody stopped it");
            }
        }
        catch (OperationCanceledException) when (termination.Requested.IsCancellationRequested)
        {
            // Told to end.
        }
        catch (Exception e)
        {
            exitCode = 1;
            log.DaemonFailed(daemon.Name, e.Message, e);
        }

        // Whoever still asks a process that was succeeded, on an old connection, asks about the service; and only the process that is the service
        // may tell the service manager that it ends.
        if (isTheService)
        {
            daemon.Readiness.Set(ReadinessName, Readiness.NotReady("draining"));
            daemon.ServiceManager.Stopping();
        }

        log.DaemonStopping(daemon.Name);
        await StopAsync(daemon, begun, log, termination.Forced).ConfigureAwait(false);
        await watchdogStop.CancelAsync().ConfigureAwait(false);
        await watchdog.ConfigureAwait(false);
        log.DaemonStopped(daemon.Name, exitCode);
        return exitCode;
    }

    /// <summary>One deadline for all parts together; after it each part is given a last moment, and then left behind.</summary>
    private static async Task StopAsync(Daemon daemon, Stack<IDaemonPart> parts, ILogger log, CancellationToken forced)
    {
        using var timeout = new CancellationTokenSource(daemon.DrainTimeout, daemon.Time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, forced);
        while (parts.TryPop(out var part))
        {
            try
            {
                var stopping = part.StopAsync(deadline.Token);
                await stopping.WaitAsync(deadline.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await stopping.WaitAsync(LastGrace, daemon.Time, CancellationToken.None).ConfigureAwait(false);
                log.PartStopped(part.Name);
            }
            catch (Exception e) when (deadline.IsCancellationRequested && e is OperationCanceledException or TimeoutException)
            {
                log.PartDropped(part.Name, DurationText.Format(daemon.DrainTimeout));
            }
            catch (Exception e)
            {
                log.PartFailedToStop(part.Name, e);
            }
        }
    }

    private static async Task WatchdogAsync(Daemon daemon, CancellationToken stop)
    {
        if (daemon.ServiceManager.WatchdogInterval is not { } interval)
        {
            return;
        }

        using var timer = new PeriodicTimer(interval, daemon.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                daemon.ServiceManager.Watchdog();
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon has ended.
        }
    }
}
