using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Access;

/// <summary>Whether something may be done, and why: the grant that allows it, or what is missing.</summary>
public readonly record struct AccessVerdict(bool IsAllowed, string Reason)
{
    public static AccessVerdict Allow(string reason) => new(true, reason);

    public static AccessVerdict Deny(string reason) => new(false, reason);
}

/// <summary>What one caller was granted. Deciding is pure; nothing that no grant allows is allowed. Immutable.</summary>
public sealed record Rights(ImmutableArray<Grant> Grants)
{
    public static Rights None { get; } = new([]);

    /// <summary>Whether the action is allowed on anything at all; what it is done to is judged later.</summary>
    public AccessVerdict JudgeSomewhere(AccessAction action) => Judge(action, _ => true, "");

    /// <summary>Whether the action is allowed without regard to an ID: on everything, or on what has none.</summary>
    public AccessVerdict JudgeEverywhere(AccessAction action) => Judge(action, grant => grant.IsEverywhere, " without paths");

    /// <summary>Whether the action is allowed on this ID.</summary>
    public AccessVerdict Judge(AccessAction action, SpiffeId id) => Judge(action, grant => grant.Covers(id), $" on {id}");

    /// <summary>Whether SVIDs of this ID, with these DNS names, may be signed by hand.</summary>
    public AccessVerdict JudgeMint(SpiffeId id, IReadOnlyList<string> dnsNames) => Judge(AccessAction.SvidMint, id, dnsNames);

    /// <summary>
    /// Whether an entry may become another: <paramref name="before"/> is null when it is created, <paramref name="after"/> when it is deleted.
    /// Both must be the caller's to touch, so that nothing is moved into or out of its paths.
    /// </summary>
    public AccessVerdict JudgeChange(RegistrationEntry? before, RegistrationEntry? after)
    {
        var verdict = AccessVerdict.Deny("nothing would change");
        foreach (var entry in new[] { before, after }.OfType<RegistrationEntry>())
        {
            verdict = ReferenceEquals(entry, after) ? JudgeNames(entry) : Judge(AccessAction.EntryWrite, entry.SpiffeId);
            if (verdict.IsAllowed && (entry.Admin || entry.Downstream))
            {
                verdict = JudgeEverywhere(AccessAction.EntryPrivilege);
            }

            if (!verdict.IsAllowed)
            {
                return verdict;
            }
        }

        return verdict;
    }

    // A grant with paths says which DNS names it covers; of subjects, addresses and mailboxes it says nothing, so it covers none.
    private AccessVerdict JudgeNames(RegistrationEntry entry)
    {
        if (entry.Template is { Subject: "", Names.IsEmpty: true })
        {
            return Judge(AccessAction.EntryWrite, entry.SpiffeId, entry.DnsNames);
        }

        if (!entry.Template.TryFill(entry, out var names, out var problem))
        {
            return AccessVerdict.Deny(problem);
        }

        var verdict = Judge(AccessAction.EntryWrite, entry.SpiffeId, names.DnsNames);
        return verdict.IsAllowed && (names.Subject is not null || !names.IpAddresses.IsEmpty || !names.EmailAddresses.IsEmpty)
            ? Judge(AccessAction.EntryWrite, grant => grant.IsEverywhere, " without paths for a subject, an address or a mailbox in the certificate")
            : verdict;
    }

    private AccessVerdict Judge(AccessAction action, SpiffeId id, IReadOnlyList<string> dnsNames) => Judge(action, id) is { IsAllowed: false } denied
        ? denied
        : Judge(
            action,
            grant => grant.Covers(id) && dnsNames.All(grant.CoversDns),
            $" on {id} with DNS name {string.Join(", ", dnsNames.Select(name => Printable.Of(name)).Take(3))}");

    private AccessVerdict Judge(AccessAction action, Func<Grant, bool> covers, string where)
    {
        foreach (var grant in Grants)
        {
            if (grant.Role.Actions.Contains(action) && covers(grant))
            {
                return AccessVerdict.Allow(grant.ToString());
            }
        }

        return AccessVerdict.Deny(Grants.IsEmpty ? $"no role; {action.Text()} is needed{where}" : $"{action.Text()} is needed{where}; there is {string.Join(" and ", Grants)}");
    }
}
