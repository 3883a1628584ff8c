namespace Signet.Proxy.Tls;

/// <summary>
/// How many handshakes are worked on at once; further ones wait, first come, first served. A handshake needs its turn for as long as it
/// takes an ordinary peer, and then goes on without: peers that begin one and fall silent keep nobody else waiting. Thread-safe; dispose after the last turn.
/// </summary>
internal sealed class HandshakeTurns(int count, TimeProvider time) : IDisposable
{
    /// <summary>How long a turn lasts; several times what a handshake takes across an ocean.</summary>
    internal static readonly TimeSpan Length = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _free = new(count);

    /// <summary>Turns that nobody has.</summary>
    public int Free => _free.CurrentCount;

    /// <summary>Waits for a turn. Dispose of it when the handshake is over.</summary>
    public async ValueTask<IDisposable> TakeAsync(CancellationToken cancellationToken)
    {
        await _free.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new Turn(_free, time);
    }

    public void Dispose() => _free.Dispose();

    private sealed class Turn : IDisposable
    {
        private readonly SemaphoreSlim _free;
        private readonly ITimer _end;
        private int _isOver;

        public Turn(SemaphoreSlim free, TimeProvider time)
        {
            _free = free;
            _end = time.CreateTimer(static turn => ((Turn)turn!).End(), this, Length, Timeout.InfiniteTimeSpan);
        }

        public void Dispose()
        {
            _end.Dispose();
            End();
        }

        private void End()
        {
            if (Interlocked.Exchange(ref _isOver, 1) == 0)
            {
                _free.Release();
            }
        }
    }
}
