using System.Collections.Immutable;
using Signet.Hosting;
using Signet.Identity.Spiffe;

namespace Signet.Server.Federation;

/// <summary>What became of a change to relationships or bundles, with the reason when it is not <see cref="Done"/>.</summary>
public enum FederationOutcome
{
    Done,
    AlreadyExists,
    NotFound,
    Invalid,

    /// <summary>It would be possible, but something stands in the way.</summary>
    Hindered,
}

/// <param name="Outcome">What became of it.</param>
/// <param name="Reason">Why, for the operator; empty when it is done.</param>
public readonly record struct FederationResult(FederationOutcome Outcome, string Reason)
{
    public static readonly FederationResult Done = new(FederationOutcome.Done, "");
}

/// <summary>
/// All relationships in memory, those of the configuration file and those that were made at runtime, the latter written through to the store.
/// Readers take the snapshot; writers go one at a time.
/// </summary>
public sealed class FederationRelationships : IDisposable
{
    /// <summary>How many there may be; each costs a fetch every few minutes.</summary>
    public const int Max = 1000;

    private readonly TrustDomain _own;
    private readonly IRelationshipStore _store;
    private readonly SemaphoreSlim _writer = new(1, 1);
    private ImmutableSortedDictionary<string, FederationRelationship> _current;

    private FederationRelationships(TrustDomain own, IRelationshipStore store, ImmutableSortedDictionary<string, FederationRelationship> current) =>
        (_own, _store, _current) = (own, store, current);

    /// <summary>Raised after relationships were added, changed or removed.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>By name of the trust domain, in that order.</summary>
    public IReadOnlyDictionary<string, FederationRelationship> Current => Volatile.Read(ref _current);

    /// <summary>Loads those of the store; one of the configuration file takes precedence over a stored one with the same trust domain.</summary>
    public static async Task<FederationRelationships> LoadAsync(
        TrustDomain own, IEnumerable<FederationRelationship> fixedOnes, IRelationshipStore store, CancellationToken cancellationToken)
    {
        var current = ImmutableSortedDictionary.CreateBuilder<string, FederationRelationship>(StringComparer.Ordinal);
        foreach (var relationship in (await store.LoadRelationshipsAsync(cancellationToken).ConfigureAwait(false)).Concat(fixedOnes))
        {
            current[relationship.TrustDomain.Name] = relationship;
        }

        return new FederationRelationships(own, store, current.ToImmutable());
    }

    public FederationRelationship? Find(TrustDomain trustDomain) => Current.GetValueOrDefault(trustDomain.Name);

    /// <summary>Whether a relationship could be made, at this moment.</summary>
    public FederationResult CheckNew(FederationRelationship wanted)
    {
        var known = Current;
        return wanted.Problem(_own) is { Length: > 0 } problem ? new(FederationOutcome.Invalid, problem)
            : known.ContainsKey(wanted.TrustDomain.Name) ? new(FederationOutcome.AlreadyExists, $"there is a relationship with {wanted.TrustDomain} already; change it with: signet federation update")
            : known.Count >= Max ? new(FederationOutcome.Invalid, $"there are {known.Count} relationships; the limit is {Max}")
            : FederationResult.Done;
    }

    public Task<FederationResult> CreateAsync(FederationRelationship wanted, CancellationToken cancellationToken) => ChangeAsync(
        wanted.TrustDomain,
        async known =>
        {
            if (CheckNew(wanted) is { Outcome: not FederationOutcome.Done } refusal)
            {
                return (refusal, known);
            }

            await _store.SaveAsync(wanted, cancellationToken).ConfigureAwait(false);
            return (FederationResult.Done, known.Add(wanted.TrustDomain.Name, wanted));
        },
        cancellationToken);

    /// <summary>Replaces one that exists.</summary>
    public Task<FederationResult> UpdateAsync(FederationRelationship wanted, CancellationToken cancellationToken) => ChangeAsync(
        wanted.TrustDomain,
        async known =>
        {
            if (!known.ContainsKey(wanted.TrustDomain.Name))
            {
                return (Missing(wanted.TrustDomain), known);
            }

            await _store.SaveAsync(wanted, cancellationToken).ConfigureAwait(false);
            return (FederationResult.Done, known.SetItem(wanted.TrustDomain.Name, wanted));
        },
        cancellationToken);

    /// <summary>Forgets a relationship; the bundle that was fetched stays until it is deleted too.</summary>
    public Task<FederationResult> DeleteAsync(TrustDomain trustDomain, CancellationToken cancellationToken) => ChangeAsync(
        trustDomain,
        async known =>
        {
            if (!known.ContainsKey(trustDomain.Name))
            {
                return (Missing(trustDomain), known);
            }

            await _store.DeleteRelationshipAsync(trustDomain, cancellationToken).ConfigureAwait(false);
            return (FederationResult.Done, known.Remove(trustDomain.Name));
        },
        cancellationToken);

    /// <summary>The answer to whoever asks for a relationship that there is not.</summary>
    public static FederationResult Missing(TrustDomain trustDomain) =>
        new(FederationOutcome.NotFound, $"there is no relationship with {trustDomain}; make one with: signet federation create");

    public void Dispose() => _writer.Dispose();

    private async Task<FederationResult> ChangeAsync(
        TrustDomain trustDomain,
        Func<ImmutableSortedDictionary<string, FederationRelationship>, Task<(FederationResult, ImmutableSortedDictionary<string, FederationRelationship>)>> change,
        CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (Find(trustDomain) is { IsStatic: true })
            {
                return new FederationResult(FederationOutcome.Hindered, $"the relationship with {trustDomain} stands in the server's configuration file; change it there");
            }

            var (result, current) = await change(_current).ConfigureAwait(false);
            if (current != _current)
            {
                Volatile.Write(ref _current, current);
                Changes.Raise();
            }

            return result;
        }
        finally
        {
            _writer.Release();
        }
    }
}
