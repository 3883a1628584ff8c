using System.Collections.Immutable;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>What the server last told this agent: the entries it may serve and whom to trust, for certificates and for tokens. Immutable.</summary>
internal sealed record NodeView(ulong Revision, ImmutableArray<RegistrationEntry> Entries, TrustBundles Bundles, ImmutableDictionary<TrustDomain, JwtBundle> JwtBundles)
{
    public static readonly NodeView Nothing = new(0, [], TrustBundles.Empty, ImmutableDictionary<TrustDomain, JwtBundle>.Empty);

    /// <summary>The keys of WIT-SVIDs; none of a trust domain that has none.</summary>
    public ImmutableDictionary<TrustDomain, WitBundle> WitBundles { get; init; } = ImmutableDictionary<TrustDomain, WitBundle>.Empty;

    /// <summary>The entries, oldest first.</summary>
    public ImmutableArray<RegistrationEntry> Entries
    {
        get => Index.Entries;
        init => Index = new EntryIndex(value);
    }

    /// <summary>The same, found by selectors.</summary>
    public EntryIndex Index { get; private init; } = new(Entries);

    /// <summary>The bundle of the agent's own trust domain; null before anything was heard.</summary>
    public X509Bundle? Own { get; init; }

    /// <summary>Issuing authorities (by serial number) and JWT keys (by key ID) whose signatures are to be replaced at once.</summary>
    public ImmutableHashSet<string> Superseded { get; init; } = [];
}
