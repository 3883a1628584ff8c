using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Registration;

/// <summary>What is to be done with one entry so that a desired state holds.</summary>
public enum EntryStep
{
    /// <summary>It is there and says what it should.</summary>
    Keep,

    Create,

    Update,

    Delete,

    /// <summary>An entry with the same identity, parent and selectors is there and belongs to somebody else: it is left alone.</summary>
    Conflict,
}

/// <summary>One step of a plan.</summary>
/// <param name="Step">What is to be done.</param>
/// <param name="Entry">The entry as it is to be; for <see cref="EntryStep.Delete"/> as it is.</param>
/// <param name="Differences">In what an updated or conflicting entry differs from the one that is there.</param>
/// <param name="Holder">Whose a conflicting entry is; empty for an operator's.</param>
public sealed record EntryChange(EntryStep Step, RegistrationEntry Entry, IReadOnlyList<EntryDifference> Differences, string Holder = "");

/// <summary>
/// How the entries that belong to an owner become a desired state, as a pure function of what is there and what is wanted. Only entries
/// that the owner made are changed or deleted; all others are left alone, whatever they say.
/// </summary>
/// <param name="Changes">A step for each entry that is wanted and each that is no longer.</param>
public sealed record EntryPlan(ImmutableArray<EntryChange> Changes)
{
    /// <summary>Below so many, an owner's entries may all be deleted at once.</summary>
    public const int FewEntries = 10;

    public IEnumerable<EntryChange> Of(EntryStep step) => Changes.Where(change => change.Step == step);

    /// <summary>Whether nothing needs to be done. Conflicts are told, and nothing is done about them.</summary>
    public bool IsDone => Changes.All(change => change.Step is EntryStep.Keep or EntryStep.Conflict);

    /// <summary>Whether it would take away most of what the owner has: rather an emptied folder than somebody's wish.</summary>
    public bool DeletesMost =>
        Of(EntryStep.Delete).Count() is var gone && gone > FewEntries && gone > (gone + Of(EntryStep.Keep).Count() + Of(EntryStep.Update).Count()) / 2;

    /// <summary>Plans.</summary>
    /// <param name="table">What is there.</param>
    /// <param name="owner">Whose entries these are; not empty.</param>
    /// <param name="wanted">What is to be there; no two with the same identity, parent and selectors.</param>
    internal static EntryPlan Of(EntryTable table, string owner, IReadOnlyList<RegistrationEntry> wanted)
    {
        var changes = ImmutableArray.CreateBuilder<EntryChange>(wanted.Count);
        var kept = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in wanted.Select(entry => entry with { Owner = owner }))
        {
            if (table.SameAs(entry) is not { } there)
            {
                changes.Add(new EntryChange(EntryStep.Create, entry, []));
                continue;
            }

            var differences = entry.DifferencesFrom(there);
            var step = there.Owner != owner ? EntryStep.Conflict : differences.Count > 0 ? EntryStep.Update : EntryStep.Keep;
            kept.Add(there.Id);
            changes.Add(new EntryChange(step, step is EntryStep.Update ? entry with { Id = there.Id } : there, differences, there.Owner));
        }

        changes.AddRange(table.ById.Values
            .Where(entry => entry.Owner == owner && !kept.Contains(entry.Id))
            .OrderBy(entry => entry.SpiffeId.Uri, StringComparer.Ordinal)
            .Select(entry => new EntryChange(EntryStep.Delete, entry, [])));
        return new EntryPlan(changes.ToImmutable());
    }

    /// <summary>Why no entry may be called the owner's name; null when it may.</summary>
    public static string? OwnerProblem(string owner) =>
        owner.Length is > 0 and <= 64 && owner.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/')
            ? null
            : $"owner \"{Printable.Of(owner)}\" is not 1 to 64 letters, digits, '-', '_', '.' and '/'";
}
