using System.Collections.Immutable;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Registration;

/// <summary>What became of one entry of a batch.</summary>
public enum EntryOutcome
{
    Done,
    AlreadyExists,
    NotFound,
    Invalid,
}

/// <summary>The outcome for one entry, the entry as it stands now, and the reason when it is not <see cref="EntryOutcome.Done"/>.</summary>
public sealed record EntryResult(EntryOutcome Outcome, RegistrationEntry? Entry, string Reason);

/// <summary>
/// All registration entries in memory, written through to the store. Readers take the snapshot and no lock; writers go one at a time;
/// <see cref="Changes"/> tells whoever distributes entries.
/// </summary>
public sealed class EntryDirectory : IDisposable
{
    private readonly TrustDomain _trustDomain;
    private readonly IEntryStore _store;
    private readonly TimeProvider _time;
    private readonly Func<TrustDomain, bool> _federates;
    private readonly SemaphoreSlim _writer = new(1, 1);
    private ImmutableDictionary<string, RegistrationEntry> _entries;

    private EntryDirectory(TrustDomain trustDomain, IEntryStore store, TimeProvider time, Func<TrustDomain, bool> federates, ImmutableDictionary<string, RegistrationEntry> entries)
    {
        _federates = federates;
        _trustDomain = trustDomain;
        _store = store;
        _time = time;
        _entries = entries;
    }

    /// <summary>Raised after entries were added, changed or removed.</summary>
    public ChangeSignal Changes { get; } = new();

    public IReadOnlyDictionary<string, RegistrationEntry> Entries => Volatile.Read(ref _entries);

    /// <param name="trustDomain">The server's own.</param>
    /// <param name="store">Where entries are kept.</param>
    /// <param name="time">The clock.</param>
    /// <param name="federates">Whether entries may federate with a trust domain.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<EntryDirectory> LoadAsync(
        TrustDomain trustDomain, IEntryStore store, TimeProvider time, Func<TrustDomain, bool> federates, CancellationToken cancellationToken)
    {
        var entries = await store.LoadAsync(cancellationToken).ConfigureAwait(false);
        return new EntryDirectory(trustDomain, store, time, federates, entries.ToImmutableDictionary(entry => entry.Id, StringComparer.Ordinal));
    }

    /// <summary>Registers new entries. One that says the same as an existing one is answered with that one.</summary>
    public async Task<IReadOnlyList<EntryResult>> CreateAsync(IReadOnlyList<RegistrationEntry> wanted, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var known = _entries.Values.ToDictionary(EntryKey.Of);
            var ids = _entries.Keys.ToHashSet(StringComparer.Ordinal);
            var results = new List<EntryResult>(wanted.Count);
            var added = new List<RegistrationEntry>();
            foreach (var entry in wanted)
            {
                if (Problem(entry) is { } problem)
                {
                    results.Add(new EntryResult(EntryOutcome.Invalid, null, problem));
                }
                else if (known.TryGetValue(EntryKey.Of(entry), out var same))
                {
                    results.Add(new EntryResult(EntryOutcome.AlreadyExists, same, $"entry {same.Id} says the same"));
                }
                else if (entry.Id.Length > 0 && !ids.Add(entry.Id))
                {
                    results.Add(new EntryResult(EntryOutcome.AlreadyExists, null, $"entry \"{Printable.Of(entry.Id)}\" exists and says something else"));
                }
                else
                {
                    var created = entry with { Id = entry.Id.Length > 0 ? entry.Id : Guid.NewGuid().ToString(), CreatedAt = _time.GetUtcNow(), Revision = 0 };
                    known.Add(EntryKey.Of(created), created);
                    added.Add(created);
                    results.Add(new EntryResult(EntryOutcome.Done, created, ""));
                }
            }

            if (added.Count > 0)
            {
                await _store.SaveAsync(added, cancellationToken).ConfigureAwait(false);
                Publish(_entries.AddRange(added.Select(entry => KeyValuePair.Create(entry.Id, entry))));
            }

            return results;
        }
        finally
        {
            _writer.Release();
        }
    }

    public async Task<IReadOnlyList<EntryResult>> DeleteAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var results = ids
                .Select(id => _entries.TryGetValue(id, out var entry)
                    ? new EntryResult(EntryOutcome.Done, entry, "")
                    : new EntryResult(EntryOutcome.NotFound, null, $"there is no entry \"{Printable.Of(id)}\""))
                .ToArray();
            var gone = results.Where(result => result.Entry is not null).Select(result => result.Entry!.Id).ToArray();
            if (gone.Length > 0)
            {
                await _store.DeleteAsync(gone, cancellationToken).ConfigureAwait(false);
                Publish(_entries.RemoveRange(gone));
            }

            return results;
        }
        finally
        {
            _writer.Release();
        }
    }

    /// <summary>Takes a trust domain out of every entry that federates with it.</summary>
    public async Task DissociateAsync(TrustDomain trustDomain, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var changed = _entries.Values
                .Where(entry => entry.FederatesWith.Contains(trustDomain))
                .Select(entry => entry with { FederatesWith = entry.FederatesWith.Remove(trustDomain), Revision = entry.Revision + 1 })
                .ToArray();
            if (changed.Length > 0)
            {
                await _store.SaveAsync(changed, cancellationToken).ConfigureAwait(false);
                Publish(_entries.SetItems(changed.Select(entry => KeyValuePair.Create(entry.Id, entry))));
            }
        }
        finally
        {
            _writer.Release();
        }
    }

    public void Dispose() => _writer.Dispose();

    private string? Problem(RegistrationEntry entry)
    {
        var problems = string.Join("; ", entry.Problems(_trustDomain).Concat(Unsupported(entry)));
        return problems.Length > 0 ? problems : null;
    }

    // What would have no effect is refused rather than kept.
    private IEnumerable<string> Unsupported(RegistrationEntry entry)
    {
        if (entry.Admin || entry.Downstream)
        {
            yield return "admin and downstream entries are not supported by this version; leave the flags out";
        }

        foreach (var stranger in entry.FederatesWith.Where(trustDomain => !_federates(trustDomain)))
        {
            yield return $"there is no trust bundle of {stranger} here and no place to fetch it from; begin with: signet federation create, or signet bundle set";
        }
    }

    private void Publish(ImmutableDictionary<string, RegistrationEntry> entries)
    {
        Volatile.Write(ref _entries, entries);
        Changes.Raise();
    }

    /// <summary>Two entries with the same key would give the same workloads the same identity.</summary>
    private readonly record struct EntryKey(SpiffeId SpiffeId, SpiffeId ParentId, string Selectors)
    {
        public static EntryKey Of(RegistrationEntry entry) => new(
            entry.SpiffeId, entry.ParentId, string.Join('\n', entry.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal).Distinct(StringComparer.Ordinal)));
    }
}
