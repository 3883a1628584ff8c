using System.Diagnostics.CodeAnalysis;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
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
    private readonly Func<TrustDomain, bool> _federates;
    private readonly SemaphoreSlim _writer = new(1, 1);
    private EntryTable _table;

    private EntryDirectory(
        TrustDomain trustDomain, IEntryStore store, IReadOnlySet<string> selectorTypes, Func<TrustDomain, bool> federates, TimeProvider time, EntryTable table)
    {
        _federates = federates;
        _trustDomain = trustDomain;
        _store = store;
        _selectorTypes = selectorTypes;
        _time = time;
        _table = table;
        Watchers = new EntryWatchers(time);
    }

    public IReadOnlyDictionary<string, RegistrationEntry> Entries => Table.ById;

    internal EntryTable Table => Volatile.Read(ref _table);

    /// <summary>Raised after any entry was added, changed or removed.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>Whether a name is an authority's: no workload may be called like one.</summary>
    internal Func<DistinguishedName, bool> IsAuthorityName { get; set; } = _ => false;

    /// <summary>Who is woken after entries that concern them were added, changed or removed.</summary>
    internal EntryWatchers Watchers { get; }

    /// <summary>Takes over what the store holds.</summary>
    /// <param name="trustDomain">Whose entries these are.</param>
    /// <param name="store">Where they are kept.</param>
    /// <param name="selectorTypes">Types of selectors that attestors of somebody's own produce.</param>
    /// <param name="federates">Whether entries may federate with a trust domain.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait for the store.</param>
    public static async Task<EntryDirectory> LoadAsync(
        TrustDomain trustDomain,
        IEntryStore store,
        IReadOnlySet<string> selectorTypes,
        Func<TrustDomain, bool> federates,
        TimeProvider time,
        CancellationToken cancellationToken)
    {
        var entries = await store.LoadAsync(cancellationToken).ConfigureAwait(false);
        return new EntryDirectory(trustDomain, store, selectorTypes, federates, time, EntryTable.Empty.With(entries));
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
            var table = _table;
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

    /// <summary>Changes entries; each change sees those before it. What is changed keeps its number and its birthday, and its revision grows.</summary>
    public async Task<IReadOnlyList<EntryResult>> UpdateAsync(IReadOnlyList<EntryUpdate> wanted, EntryJudge judge, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var (before, table, results) = (_table, _table, new List<EntryResult>(wanted.Count));
            foreach (var change in wanted)
            {
                var result = Change(change, table, judge);
                results.Add(result);
                if (result is { Outcome: EntryOutcome.Done, Entry: { } changed })
                {
                    table = table.With([changed]);
                }
            }

            var ids = results.Where(result => result.Outcome == EntryOutcome.Done).Select(result => result.Entry!.Id).Distinct(StringComparer.Ordinal).ToArray();
            if (ids.Length > 0)
            {
                await _store.SaveAsync([.. ids.Select(id => table.ById[id])], cancellationToken).ConfigureAwait(false);
                Publish(table, ids.SelectMany(id => new[] { before.ById[id], table.ById[id] }));
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
            var table = _table;
            var results = ids
                .Select(id => !table.ById.TryGetValue(id, out var entry) ? new EntryResult(EntryOutcome.NotFound, null, $"there is no entry \"{Printable.Of(id)}\"")
                    : judge(entry, null) is { IsAllowed: false } denied ? new EntryResult(EntryOutcome.Denied, null, denied.Reason)
                    : new EntryResult(EntryOutcome.Done, entry, ""))
                .ToArray();
            var gone = results.Select(result => result.Entry).OfType<RegistrationEntry>().Distinct().ToArray();
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
    /// <param name="judge">Whether the caller may do each step; one that it may not, and nothing is done.</param>
    /// <param name="cancellationToken">Ends the wait for other writers.</param>
    public async Task<EntryApplication> ApplyAsync(
        string owner, IReadOnlyList<RegistrationEntry> wanted, ApplyMode mode, EntryJudge judge, CancellationToken cancellationToken)
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
            if (plan.Changes.Select(change => Judge(change, table, judge)).FirstOrDefault(verdict => !verdict.IsAllowed, AccessVerdict.Allow("")) is { IsAllowed: false } denied)
            {
                return new EntryApplication(null, [denied.Reason]);
            }

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

    /// <summary>Takes a trust domain out of every entry that federates with it.</summary>
    public async Task DissociateAsync(TrustDomain trustDomain, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var table = _table;
            var changed = table.ById.Values
                .Where(entry => entry.FederatesWith.Contains(trustDomain))
                .Select(entry => entry with { FederatesWith = entry.FederatesWith.Remove(trustDomain), Revision = entry.Revision + 1 })
                .ToArray();
            if (changed.Length > 0)
            {
                await _store.SaveAsync(changed, cancellationToken).ConfigureAwait(false);
                Publish(table.With(changed), changed);
            }
        }
        finally
        {
            _writer.Release();
        }
    }

    public void Dispose() => _writer.Dispose();

    private EntryResult Change(EntryUpdate change, EntryTable table, EntryJudge judge)
    {
        if (!table.ById.TryGetValue(change.Id, out var current))
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

        var changed = edited with { Id = current.Id, Owner = current.Owner, CreatedAt = current.CreatedAt, Revision = current.Revision + 1 };
        return Problem(changed) is { } wrong ? new EntryResult(EntryOutcome.Invalid, null, wrong)
            : judge(current, changed) is { IsAllowed: false } denied ? new EntryResult(EntryOutcome.Denied, null, denied.Reason)
            : table.SameAs(changed) is { } same && same.Id != changed.Id ? new EntryResult(EntryOutcome.AlreadyExists, same, $"entry {same.Id} says the same")
            : new EntryResult(EntryOutcome.Done, changed, "");
    }

    private static AccessVerdict Judge(EntryChange change, EntryTable table, EntryJudge judge) => change.Step switch
    {
        EntryStep.Create => judge(null, change.Entry),
        EntryStep.Update => judge(table.ById[change.Entry.Id], change.Entry),
        EntryStep.Delete => judge(change.Entry, null),
        _ => OwnWish(null, null),
    };

    /// <summary>The server may do anything to entries.</summary>
    internal static AccessVerdict OwnWish(RegistrationEntry? before, RegistrationEntry? after) => AccessVerdict.Allow("the server itself");

    private string? Problem(RegistrationEntry entry)
    {
        var problems = string.Join("; ", entry.Problems(_trustDomain)
            .Concat(entry.Selectors.IsDefault ? [] : entry.Selectors.Select(selector => SelectorTypes.Problem(selector, _selectorTypes)).OfType<string>())
            .Concat(Unsupported(entry)));
        return problems.Length > 0 ? problems : null;
    }

    // What would have no effect is refused rather than kept.
    private IEnumerable<string> Unsupported(RegistrationEntry entry)
    {
        if (entry.Template.Subject.Length > 0 && entry.Template.TryFill(entry, out var names, out _) && IsAuthorityName(names.Subject!))
        {
            yield return $"the subject {names.Subject} is the name of an authority; a workload needs another";
        }

        foreach (var stranger in entry.FederatesWith.Where(trustDomain => !_federates(trustDomain)))
        {
            yield return $"there is no trust bundle of {stranger} here and no place to fetch it from; begin with: signet federation create, or signet bundle set";
        }
    }

    private void Publish(EntryTable table, IEnumerable<RegistrationEntry> changed)
    {
        Volatile.Write(ref _table, table);
        Changes.Raise();
        Watchers.Wake(changed.Select(entry => entry.ParentId).Distinct());
    }
}
