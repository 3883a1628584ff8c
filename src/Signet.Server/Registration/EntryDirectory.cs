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

/// <summary>What may be done to make a desired state hold.</summary>
public enum ApplyMode
{
    /// <summary>Only say what would be done.</summary>
    DryRun,

    /// <summary>Do it, unless it would delete most of the owner's entries.</summary>
    Carefully,

    /// <summary>Do it whatever it deletes.</summary>
    EvenDeleteMost,
}

/// <summary>What became of a desired state.</summary>
/// <param name="Plan">What was done, or would have been; null when the entries do not hold.</param>
/// <param name="Problems">Why nothing was done; empty when it was.</param>
public sealed record EntryApplication(EntryPlan? Plan, IReadOnlyList<string> Problems);

/// <summary>
/// All registration entries in memory, written through to the store. Readers take the table and no lock; writers go one at a time;
/// <see cref="Watchers"/> tells whoever distributes entries.
/// </summary>
public sealed class EntryDirectory : IDisposable
{
    private readonly TrustDomain _trustDomain;
    private readonly IEntryStore _store;
    private readonly IReadOnlySet<string> _selectorTypes;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _writer = new(1, 1);
    private EntryTable _table;

    private EntryDirectory(TrustDomain trustDomain, IEntryStore store, IReadOnlySet<string> selectorTypes, TimeProvider time, EntryTable table)
    {
        _trustDomain = trustDomain;
        _store = store;
        _selectorTypes = selectorTypes;
        _time = time;
        _table = table;
    }

    public IReadOnlyDictionary<string, RegistrationEntry> Entries => Table.ById;

    internal EntryTable Table => Volatile.Read(ref _table);

    /// <summary>Raised after any entry was added, changed or removed.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>Who is woken after entries that concern them were added, changed or removed.</summary>
    internal EntryWatchers Watchers { get; } = new();

    /// <summary>Takes over what the store holds.</summary>
    /// <param name="trustDomain">Whose entries these are.</param>
    /// <param name="store">Where they are kept.</param>
    /// <param name="selectorTypes">Types of selectors that attestors of somebody's own produce.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait for the store.</param>
    public static async Task<EntryDirectory> LoadAsync(
        TrustDomain trustDomain, IEntryStore store, IReadOnlySet<string> selectorTypes, TimeProvider time, CancellationToken cancellationToken)
    {
        var entries = await store.LoadAsync(cancellationToken).ConfigureAwait(false);
        return new EntryDirectory(trustDomain, store, selectorTypes, time, EntryTable.Empty.With(entries));
    }

    /// <summary>Registers new entries. One that says the same as an existing one is answered with that one.</summary>
    public async Task<IReadOnlyList<EntryResult>> CreateAsync(IReadOnlyList<RegistrationEntry> wanted, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var table = _table;
            var results = new List<EntryResult>(wanted.Count);
            var added = new List<RegistrationEntry>();
            foreach (var entry in wanted)
            {
                if (Problem(entry) is { } problem)
                {
                    results.Add(new EntryResult(EntryOutcome.Invalid, null, problem));
                }
                else if (table.SameAs(entry) is { } same)
                {
                    results.Add(new EntryResult(EntryOutcome.AlreadyExists, same, $"entry {same.Id} says the same"));
                }
                else if (table.ById.ContainsKey(entry.Id))
                {
                    results.Add(new EntryResult(EntryOutcome.AlreadyExists, null, $"entry \"{Printable.Of(entry.Id)}\" exists and says something else"));
                }
                else
                {
                    var created = entry with { Id = entry.Id.Length > 0 ? entry.Id : Guid.NewGuid().ToString(), CreatedAt = _time.GetUtcNow(), Revision = 0 };
                    table = table.With([created]);
                    added.Add(created);
                    results.Add(new EntryResult(EntryOutcome.Done, created, ""));
                }
            }

            if (added.Count > 0)
            {
                await _store.SaveAsync(added, cancellationToken).ConfigureAwait(false);
                Publish(table, added);
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
            var table = _table;
            var results = ids
                .Select(id => table.ById.TryGetValue(id, out var entry)
                    ? new EntryResult(EntryOutcome.Done, entry, "")
                    : new EntryResult(EntryOutcome.NotFound, null, $"there is no entry \"{Printable.Of(id)}\""))
                .ToArray();
            var gone = results.Select(result => result.Entry).OfType<RegistrationEntry>().ToArray();
            if (gone.Length > 0)
            {
                string[] goneIds = [.. gone.Select(entry => entry.Id)];
                await _store.DeleteAsync(goneIds, cancellationToken).ConfigureAwait(false);
                Publish(table.Without(goneIds), gone);
            }

            return results;
        }
        finally
        {
            _writer.Release();
        }
    }

    /// <summary>Makes a desired state hold, all of it or nothing (<see cref="EntryPlan"/>).</summary>
    /// <param name="owner">Whose entries these are.</param>
    /// <param name="wanted">All of the owner's entries.</param>
    /// <param name="mode">What may be done.</param>
    /// <param name="cancellationToken">Ends the wait for other writers.</param>
    public async Task<EntryApplication> ApplyAsync(string owner, IReadOnlyList<RegistrationEntry> wanted, ApplyMode mode, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var table = _table;
            var problems = wanted.Select(entry => (Entry: entry, Problem: Problem(entry))).Where(one => one.Problem is not null).ToArray();
            if (problems.Length > 0)
            {
                return new EntryApplication(null, [.. problems.Select(one => $"entry for {one.Entry.SpiffeId}: {one.Problem}")]);
            }

            var plan = EntryPlan.Of(table, owner, wanted);
            if (mode is not ApplyMode.DryRun && plan.DeletesMost && mode is not ApplyMode.EvenDeleteMost)
            {
                return new EntryApplication(plan, [$"{plan.Of(EntryStep.Delete).Count()} of {owner}'s entries would be deleted, which is most of them"]);
            }

            if (mode is ApplyMode.DryRun || plan.IsDone)
            {
                return new EntryApplication(plan, []);
            }

            var now = _time.GetUtcNow();
            RegistrationEntry[] saved =
            [
                .. plan.Of(EntryStep.Create).Select(change => change.Entry with { Id = Guid.NewGuid().ToString(), CreatedAt = now, Revision = 0 }),
                .. plan.Of(EntryStep.Update).Select(change => change.Entry with { CreatedAt = table.ById[change.Entry.Id].CreatedAt, Revision = table.ById[change.Entry.Id].Revision + 1 }),
            ];
            RegistrationEntry[] gone = [.. plan.Of(EntryStep.Delete).Select(change => change.Entry)];
            string[] goneIds = [.. gone.Select(entry => entry.Id)];
            await _store.ChangeAsync(saved, goneIds, cancellationToken).ConfigureAwait(false);
            Publish(table.Without(goneIds).With(saved), saved.Concat(gone));
            return new EntryApplication(plan, []);
        }
        finally
        {
            _writer.Release();
        }
    }

    public void Dispose() => _writer.Dispose();

    private string? Problem(RegistrationEntry entry)
    {
        var problems = string.Join("; ", entry.Problems(_trustDomain)
            .Concat(entry.Selectors.IsDefault ? [] : entry.Selectors.Select(selector => SelectorTypes.Problem(selector, _selectorTypes)).OfType<string>())
            .Concat(Unsupported(entry)));
        return problems.Length > 0 ? problems : null;
    }

    // What would have no effect is refused rather than kept.
    private static IEnumerable<string> Unsupported(RegistrationEntry entry)
    {
        if (entry.Admin || entry.Downstream)
        {
            yield return "admin and downstream entries are not supported by this version; leave the flags out";
        }

        if (!entry.FederatesWith.IsDefaultOrEmpty)
        {
            yield return $"there is no trust bundle of {entry.FederatesWith[0]} here; federation is not supported by this version";
        }
    }

    private void Publish(EntryTable table, IEnumerable<RegistrationEntry> changed)
    {
        Volatile.Write(ref _table, table);
        Changes.Raise();
        Watchers.Wake(changed.Select(entry => entry.ParentId).Distinct());
    }
}
