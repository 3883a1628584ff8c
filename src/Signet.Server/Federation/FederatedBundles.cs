using System.Collections.Immutable;
using Signet.Hosting;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Federation;

/// <summary>What an operator expects to find where a bundle is set.</summary>
public enum Expected
{
    Either,
    Nothing,
    Bundle,
}

/// <summary>
/// The bundles of other trust domains, one each and never merged, in memory and written through to the store. Readers take the snapshot; writers go
/// one at a time.
/// </summary>
public sealed class FederatedBundles : IDisposable
{
    /// <summary>How many there may be.</summary>
    public const int Max = 2 * FederationRelationships.Max;

    private readonly TrustDomain _own;
    private readonly IBundleStore _store;
    private readonly SemaphoreSlim _writer = new(1, 1);
    private ImmutableSortedDictionary<string, SpiffeBundle> _current;

    private FederatedBundles(TrustDomain own, IBundleStore store, ChangeSignal changes, ImmutableSortedDictionary<string, SpiffeBundle> current) =>
        (_own, _store, Changes, _current) = (own, store, changes, current);

    /// <summary>Raised after a bundle was taken, changed or removed, and by others of the server's bundles too.</summary>
    public ChangeSignal Changes { get; }

    /// <summary>By name of the trust domain, in that order.</summary>
    public IReadOnlyDictionary<string, SpiffeBundle> Current => Volatile.Read(ref _current);

    /// <param name="own">The server's trust domain, whose bundle has no place here.</param>
    /// <param name="store">Where they are kept.</param>
    /// <param name="changes">Raised after a bundle was taken, changed or removed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<FederatedBundles> LoadAsync(TrustDomain own, IBundleStore store, ChangeSignal changes, CancellationToken cancellationToken)
    {
        var kept = await store.LoadBundlesAsync(cancellationToken).ConfigureAwait(false);
        return new FederatedBundles(own, store, changes, kept.ToImmutableSortedDictionary(bundle => bundle.TrustDomain.Name, bundle => bundle, StringComparer.Ordinal));
    }

    public SpiffeBundle? Find(TrustDomain trustDomain) => Current.GetValueOrDefault(trustDomain.Name);

    /// <summary>What the workloads of these entries receive: a bundle for each trust domain that one of them federates with, where there is one.</summary>
    public IReadOnlyList<SpiffeBundle> For(IEnumerable<RegistrationEntry> entries)
    {
        var current = Volatile.Read(ref _current);
        return current.IsEmpty ? [] : [.. entries
            .SelectMany(entry => entry.FederatesWith)
            .Distinct()
            .Select(trustDomain => current.GetValueOrDefault(trustDomain.Name))
            .OfType<SpiffeBundle>()
            .OrderBy(bundle => bundle.TrustDomain.Name, StringComparer.Ordinal)];
    }

    /// <summary>Takes what an endpoint served, if it is not older than what is kept.</summary>
    public async Task<BundleStep> OfferAsync(SpiffeBundle offered, CancellationToken cancellationToken)
    {
        var step = BundleStep.Keep;
        await ChangeAsync(
            kept =>
            {
                step = BundleOrder.Next(kept.GetValueOrDefault(offered.TrustDomain.Name), offered);
                return step == BundleStep.Take ? offered : null;
            },
            cancellationToken).ConfigureAwait(false);
        return step;
    }

    /// <summary>Takes what an operator says, whatever was there before.</summary>
    /// <param name="bundle">The bundle.</param>
    /// <param name="expected">What must be there before.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<FederationResult> SetAsync(SpiffeBundle bundle, Expected expected, CancellationToken cancellationToken)
    {
        if (bundle.TrustDomain == _own)
        {
            return new FederationResult(FederationOutcome.Invalid, $"{_own} is this server's own trust domain, whose bundle follows from its authorities");
        }

        var result = FederationResult.Done;
        await ChangeAsync(
            kept =>
            {
                var exists = kept.ContainsKey(bundle.TrustDomain.Name);
                result = expected == Expected.Nothing && exists ? new(FederationOutcome.AlreadyExists, $"there is a bundle of {bundle.TrustDomain} already; replace it with: signet bundle set")
                    : expected == Expected.Bundle && !exists ? Missing(bundle.TrustDomain)
                    : !exists && kept.Count >= Max ? new(FederationOutcome.Invalid, $"there are {kept.Count} bundles; the limit is {Max}")
                    : FederationResult.Done;
                return result.Outcome == FederationOutcome.Done ? bundle : null;
            },
            cancellationToken).ConfigureAwait(false);
        return result;
    }

    /// <returns>Whether there was one.</returns>
    public async Task<bool> DeleteAsync(TrustDomain trustDomain, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (!_current.ContainsKey(trustDomain.Name))
            {
                return false;
            }

            await _store.DeleteBundleAsync(trustDomain, cancellationToken).ConfigureAwait(false);
            Publish(_current.Remove(trustDomain.Name));
            return true;
        }
        finally
        {
            _writer.Release();
        }
    }

    /// <summary>The answer to whoever asks for a bundle that there is not.</summary>
    public static FederationResult Missing(TrustDomain trustDomain) => new(FederationOutcome.NotFound, $"there is no bundle of {trustDomain} here; see: signet bundle list");

    public void Dispose() => _writer.Dispose();

    private async Task ChangeAsync(Func<ImmutableSortedDictionary<string, SpiffeBundle>, SpiffeBundle?> decide, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (decide(_current) is { } taken)
            {
                await _store.SaveAsync(taken, cancellationToken).ConfigureAwait(false);
                Publish(_current.SetItem(taken.TrustDomain.Name, taken));
            }
        }
        finally
        {
            _writer.Release();
        }
    }

    private void Publish(ImmutableSortedDictionary<string, SpiffeBundle> current)
    {
        Volatile.Write(ref _current, current);
        Changes.Raise();
    }
}
