using Signet.Client.Wire;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>
/// Keeps the X.509 bundles fresh from the Workload API (§5.2.2), for a process that judges others and needs no SVID of its own. A broken stream keeps what was
/// received; what is withdrawn is dropped at once. Thread-safe; dispose to stop.
/// </summary>
public sealed class X509BundleSource : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watch;
    private TrustBundles _current = TrustBundles.Empty;
    private string? _problem = "no X.509 bundles have been received yet";

    /// <summary>Begins to watch at once.</summary>
    public X509BundleSource(WorkloadApiAddress address, TimeProvider time) => _watch = WorkloadApiStream.FollowAsync(
        address,
        (client, options) => client.FetchX509Bundles(new X509BundlesRequest(), options),
        Take,
        problem => Volatile.Write(ref _problem, problem),
        problem => Set(TrustBundles.Empty, problem),
        time,
        _stop.Token);

    /// <summary>The newest bundles; empty, which believes nobody, before the first and after they were withdrawn.</summary>
    public TrustBundles Current => Volatile.Read(ref _current);

    /// <summary>Why there are no bundles, or why the newest could not be received; null when all is well. For operators.</summary>
    public string? Problem => Volatile.Read(ref _problem);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private string? Take(X509BundlesResponse response)
    {
        if (!X509ContextWire.TryRead(response, out var bundles, out var problem))
        {
            return problem;
        }

        Set(bundles, null);
        return null;
    }

    private void Set(TrustBundles bundles, string? problem)
    {
        Volatile.Write(ref _current, bundles);
        Volatile.Write(ref _problem, problem);
    }
}
