using System.Collections.Immutable;
using Signet.Hosting;
using Signet.Identity.Registration;

namespace Signet.Agent.Identities;

/// <summary>All that the agent can hand out at one moment. Immutable.</summary>
internal sealed record IdentitySnapshot(NodeView View, ImmutableDictionary<string, HeldSvid> Held)
{
    public static readonly IdentitySnapshot Empty = new(NodeView.Nothing, ImmutableDictionary<string, HeldSvid>.Empty);

    /// <summary>The entries that fit a workload, oldest first.</summary>
    public IReadOnlyList<RegistrationEntry> Matching(IReadOnlySet<Selector> selectors, DateTimeOffset now) =>
        EntryMatcher.ForWorkload(View.Entries, selectors, now);

    /// <summary>The valid SVIDs of those entries that have one, in the same order.</summary>
    public IReadOnlyList<HeldSvid> Svids(IReadOnlyList<RegistrationEntry> matching, DateTimeOffset now) =>
        [.. matching.Select(entry => Held.GetValueOrDefault(entry.Id)).OfType<HeldSvid>().Where(held => held.IsValid(now))];
}

/// <summary>The one snapshot that the agent serves from. One owner publishes, any number read and wait.</summary>
internal sealed class IdentityCache
{
    private IdentitySnapshot _current = IdentitySnapshot.Empty;

    public IdentitySnapshot Current => Volatile.Read(ref _current);

    /// <summary>Raised after each publication.</summary>
    public ChangeSignal Changes { get; } = new();

    public void Publish(IdentitySnapshot snapshot)
    {
        Volatile.Write(ref _current, snapshot);
        Changes.Raise();
    }
}
