using Signet.Client.Wire;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>
/// Keeps a workload's X.509 identity fresh from the Workload API: one stream, held open, reopened with a growing pause when it breaks.
/// A broken stream keeps what was received; a withdrawn identity is dropped at once. An agent of Signet's is told what was applied. Thread-safe;
/// dispose to stop.
/// </summary>
public sealed class X509Source : IX509Source, IAsyncDisposable
{
    private const int MaxNamed = 5;

    private readonly SourceState _state = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watch;
    private readonly AppliedReporter _reporter;

    private readonly SvidPick _pick;

    /// <summary>Begins to watch at once, for the agent's first SVID.</summary>
    public X509Source(WorkloadApiAddress address, TimeProvider time)
        : this(address, SvidPick.First, time)
    {
    }

    /// <summary>Begins to watch at once.</summary>
    /// <param name="address">Where the Workload API is.</param>
    /// <param name="pick">
    /// Which of a workload's SVIDs is its <see cref="X509Context.Default"/>; the others come after it. While there is none such, there is no identity: never another in its place.
    /// </param>
    /// <param name="time">The clock.</param>
    public X509Source(WorkloadApiAddress address, SvidPick pick, TimeProvider time)
    {
        _pick = pick;
        _reporter = new AppliedReporter(address, _state, time);
        _watch = WorkloadApiStream.FollowAsync(
            address, (client, options) => client.FetchX509SVID(new X509SVIDRequest(), options), Take, _state.Fail, Withdraw, time, _stop.Token);
    }

    public X509Context? Current => _state.Current;

    public string? Problem => _state.Problem;

    public Task<X509Context> WaitAsync(CancellationToken cancellationToken) => _state.WaitAsync(cancellationToken);

    public IDisposable OnChange(Action changed) => _state.OnChange(changed);

    public async ValueTask DisposeAsync()
    {
        await _reporter.DisposeAsync().ConfigureAwait(false);
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private string? Take(X509SVIDResponse response)
    {
        if (!X509ContextWire.TryRead(response, out var context, out var problem))
        {
            return problem;
        }

        if (_pick.From(context.Svids) is not { } chosen)
        {
            Withdraw($"the Workload API gives no SVID {_pick}; it gives {string.Join(", ", context.Svids.Take(MaxNamed).Select(SvidPick.Describe))}");
            return null;
        }

        _state.Publish(context with { Svids = [chosen, .. context.Svids.Where(svid => svid != chosen)] });
        _reporter.Tell();
        return null;
    }

    private void Withdraw(string problem)
    {
        _state.Withdraw(problem);
        _reporter.Tell();
    }
}
