using System.Runtime.InteropServices;

namespace Signet.Hosting.Daemons;

/// <summary>
/// How a daemon is told to end: the first SIGTERM or SIGINT asks it to drain, the second to end at once. Thread-safe.
/// </summary>
public sealed class Termination : IDisposable
{
    private readonly CancellationTokenSource _requested = new();
    private readonly CancellationTokenSource _forced = new();
    private PosixSignalRegistration[] _signals = [];

    /// <summary>Fires when the daemon should drain and end.</summary>
    public CancellationToken Requested => _requested.Token;

    /// <summary>Fires when it should not wait any longer.</summary>
    public CancellationToken Forced => _forced.Token;

    /// <summary>Listens to the signals of this process. Dispose to stop listening.</summary>
    public static Termination OnSignals()
    {
        var termination = new Termination();
        termination._signals =
            [PosixSignalRegistration.Create(PosixSignal.SIGTERM, termination.Handle), PosixSignalRegistration.Create(PosixSignal.SIGINT, termination.Handle)];
        return termination;
    }

    /// <summary>Asks to end; asked again, to end at once.</summary>
    public void Request() => (_requested.IsCancellationRequested ? _forced : _requested).Cancel();

    public void Dispose()
    {
        foreach (var signal in _signals)
        {
            signal.Dispose();
        }

        _requested.Dispose();
        _forced.Dispose();
    }

    internal void Handle(PosixSignalContext signal)
    {
        signal.Cancel = true;
        Request();
    }
}
