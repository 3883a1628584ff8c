using System.Collections.Immutable;
using Signet.Client.Wire;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>
/// Keeps the keys of JWT-SVIDs fresh from the Workload API (§6.2.2). A broken stream keeps what was received; what is withdrawn is dropped at once.
/// Thread-safe; dispose to stop.
/// </summary>
public sealed class JwtBundleSource : IJwtBundleSource, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watch;
    private ImmutableDictionary<TrustDomain, JwtBundle> _current = ImmutableDictionary<TrustDomain, JwtBundle>.Empty;
    private string? _problem = "no JWT bundles have been received yet";

    /// <summary>Begins to watch at once.</summary>
    public JwtBundleSource(WorkloadApiAddress address, TimeProvider time) => _watch = WorkloadApiStream.FollowAsync(
        address,
        (client, options) => client.FetchJWTBundles(new JWTBundlesRequest(), options),
        Take,
        problem => Volatile.Write(ref _problem, problem),
        problem => Set(ImmutableDictionary<TrustDomain, JwtBundle>.Empty, problem),
        time,
        _stop.Token);

    public string? Problem => Volatile.Read(ref _problem);

    /// <summary>All bundles, in no order.</summary>
    public IReadOnlyCollection<JwtBundle> All => [.. Volatile.Read(ref _current).Values];

    public JwtBundle? Find(TrustDomain trustDomain) => Volatile.Read(ref _current).GetValueOrDefault(trustDomain);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private string? Take(JWTBundlesResponse response)
    {
        if (!JwtBundlesWire.TryRead(response, out var bundles, out var problem))
        {
            return problem;
        }

        Set(bundles, null);
        return null;
    }

    private void Set(ImmutableDictionary<TrustDomain, JwtBundle> bundles, string? problem)
    {
        Volatile.Write(ref _current, bundles);
        Volatile.Write(ref _problem, problem);
    }
}
