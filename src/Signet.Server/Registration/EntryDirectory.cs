using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Access;

namespace Signet.Server.Registration;

/// <summary>What became of one entry of a batch.</summary>
public enum EntryOutcome
{
    Done,
    AlreadyExists,
    NotFound,
    Invalid,

    /// <summary>The caller may not do that to this entry.</summary>
    Denied,
}

/// <summary>Whether an entry may become another: the first is null when it is created, the second when it is deleted.</summary>
public delegate AccessVerdict EntryJudge(RegistrationEntry? before, RegistrationEntry? after);

/// <summary>The outcome for one entry, the entry as it stands now, and the reason when it is not <see cref="EntryOutcome.Done"/>.</summary>
public sealed record EntryResult(EntryOutcome Outcome, RegistrationEntry? Entry, string Reason);

/// <summary>Makes of an entry, as it stands, what it shall become; false with the reason when that can't be.</summary>
public delegate bool EntryEdit(RegistrationEntry current, [NotNullWhen(true)] out RegistrationEntry? changed, out string problem);

/// <summary>A change that is wanted of an entry.</summary>
public sealed record EntryUpdate(string Id, EntryEdit Edit);

/// <summary>
/// All registration entries in memory, written through to the store. Readers take the snapshot and no lock; writers go one at a time;
/// <see cref="Changes"/> tells whoever distributes entries.
/// </summary>
public sealed class EntryDirectory : IDisposable
{
    private readonly TrustDomain _trustDomain;
    private readonly IEntryStore _store;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _writer = new(1, 1);
    private ImmutableDictionary<string, RegistrationEntry> _entries;

    private EntryDirectory(TrustDomain trustDomain, IEntryStore store, TimeProvider time, ImmutableDictionary<string, RegistrationEntry> entries)
    {
        _trustDomain = trustDomain;
        _store = store;
        _time = time;
        _entries = entries;
    }

    /// <summary>Raised after entries were added, changed or removed.</summary>
    public ChangeSignal Changes { get; } = new();

    public IReadOnlyDictionary<string, RegistrationEntry> Entries => Volatile.Read(ref _entries);

    public static async Task<EntryDirectory> LoadAsync(TrustDomain trustDomain, IEntryStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var entries = await store.LoadAsync(cancellationToken).ConfigureAwait(false);
        return new EntryDirectory(trustDomain, store, time, entries.ToImmutableDictionary(entry => entry.Id, StringComparer.Ordinal));
    }

    /// <summary>Registers new entries at the server's own wish.</summary>
    public Task<IReadOnlyList<EntryResult>> CreateAsync(IReadOnlyList<RegistrationEntry> wanted, CancellationToken cancellationToken) =>
        CreateAsync(wanted, OwnWish, cancellationToken);

    /// <summary>Registers new entries. One that says the same as an existing one is answered with that one.</summary>
    public async Task<IReadOnlyList<EntryResult>> CreateAsync(IReadOnlyList<RegistrationEntry> wanted, EntryJudge judge, CancellationToken cancellationToken)
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
                else if (judge(null, entry) is { IsAllowed: false } denied)
                {
                    results.Add(new EntryResult(EntryOutcome.Denied, null, denied.Reason));
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

    /// <summary>Changes entries; each change sees those before it. What is changed keeps its number and its birthday, and its revision grows.</summary>
    public async Task<IReadOnlyList<EntryResult>> UpdateAsync(IReadOnlyList<EntryUpdate> wanted, EntryJudge judge, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var (entries, results) = (_entries, new List<EntryResult>(wanted.Count));
            var keys = _entries.Values.ToDictionary(EntryKey.Of, entry => entry.Id);
            foreach (var change in wanted)
            {
                var result = Change(change, entries, keys, judge);
                results.Add(result);
                if (result is { Outcome: EntryOutcome.Done, Entry: { } changed })
                {
                    keys.Remove(EntryKey.Of(entries[changed.Id]));
                    keys[EntryKey.Of(changed)] = changed.Id;
                    entries = entries.SetItem(changed.Id, changed);
                }
            }

            if (entries != _entries)
            {
                await _store.SaveAsync([.. entries.Values.Where(entry => _entries[entry.Id] != entry)], cancellationToken).ConfigureAwait(false);
                Publish(entries);
            }

            return results;
        }
        finally
        {
            _writer.Release();
        }
    }

    /// <summary>Removes entries at the server's own wish.</summary>
    public Task<IReadOnlyList<EntryResult>> DeleteAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken) => DeleteAsync(ids, OwnWish, cancellationToken);

    public async Task<IReadOnlyList<EntryResult>> DeleteAsync(IReadOnlyList<string> ids, EntryJudge judge, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var results = ids
                .Select(id => !_entries.TryGetValue(id, out var entry) ? new EntryResult(EntryOutcome.NotFound, null, $"there is no entry \"{Printable.Of(id)}\"")
                    : judge(entry, null) is { IsAllowed: false } denied ? new EntryResult(EntryOutcome.Denied, null, denied.Reason)
                    : new EntryResult(EntryOutcome.Done, entry, ""))
                .ToArray();
            var gone = results.Where(result => result.Entry is not null).Select(result => result.Entry!.Id).Distinct(StringComparer.Ordinal).ToArray();
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

    public void Dispose() => _writer.Dispose();

    private EntryResult Change(EntryUpdate change, ImmutableDictionary<string, RegistrationEntry> entries, Dictionary<EntryKey, string> keys, EntryJudge judge)
    {
        if (!entries.TryGetValue(change.Id, out var current))
        {
            return new EntryResult(EntryOutcome.NotFound, null, $"there is no entry \"{Printable.Of(change.Id)}\"");
        }

        if (judge(current, null) is { IsAllowed: false } untouchable)
        {
            return new EntryResult(EntryOutcome.Denied, null, untouchable.Reason);
        }

        if (!change.Edit(current, out var edited, out var problem))
        {
            return new EntryResult(EntryOutcome.Invalid, null, problem);
        }

        var changed = edited with { Id = current.Id, CreatedAt = current.CreatedAt, Revision = current.Revision + 1 };
        return Problem(changed) is { } wrong ? new EntryResult(EntryOutcome.Invalid, null, wrong)
            : judge(current, changed) is { IsAllowed: false } denied ? new EntryResult(EntryOutcome.Denied, null, denied.Reason)
            : keys.TryGetValue(EntryKey.Of(changed), out var same) && same != changed.Id ? new EntryResult(EntryOutcome.AlreadyExists, entries[same], $"entry {same} says the same")
            : new EntryResult(EntryOutcome.Done, changed, "");
    }

    private static AccessVerdict OwnWish(RegistrationEntry? before, RegistrationEntry? after) => AccessVerdict.Allow("the server itself");

    private string? Problem(RegistrationEntry entry)
    {
        var problems = string.Join("; ", entry.Problems(_trustDomain).Concat(Unsupported(entry)));
        return problems.Length > 0 ? problems : null;
    }

    // What would have no effect is refused rather than kept.
    private static IEnumerable<string> Unsupported(RegistrationEntry entry)
    {
        if (!entry.FederatesWith.IsDefaultOrEmpty)
        {
            yield return $"there is no trust bundle of {entry.FederatesWith[0]} here; federation is not supported by this version";
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
