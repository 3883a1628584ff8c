using System.Collections.Immutable;
using Signet.Agent.Identities;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;

namespace Signet.Agent.Wire;

/// <summary>What one message of a stream led to.</summary>
internal abstract record NodeReading
{
    private NodeReading()
    {
    }

    /// <summary>More messages belong to the revision.</summary>
    internal sealed record Incomplete : NodeReading;

    /// <summary>All of the revision has been read and holds.</summary>
    internal sealed record Complete(NodeView View) : NodeReading;

    /// <summary>One part of it does not hold, so none of it counts; nor does what comes, until the server begins afresh.</summary>
    internal sealed record Refused(string Problem) : NodeReading;
}

/// <summary>Puts together what the server says on one stream. Not thread-safe.</summary>
internal sealed class NodeUpdateReader(TrustDomain trustDomain)
{
    /// <summary>More entries than any node has workloads; what goes beyond is refused.</summary>
    public const int MaxEntries = 200_000;

    /// <summary>The end of the year 9999.</summary>
    private const long MaxMilliseconds = 253_402_300_799_999;

    private const string NotBegun = "it says what differs from something that was refused or never came";

    private readonly SharedParts _shared = new();
    private ImmutableDictionary<string, RegistrationEntry>.Builder? _entries;
    private TrustBundles _bundles = TrustBundles.Empty;
    private ImmutableHashSet<string> _superseded = [];
    private ImmutableDictionary<TrustDomain, JwtBundle> _jwtBundles = ImmutableDictionary<TrustDomain, JwtBundle>.Empty;
    private ImmutableDictionary<TrustDomain, WitBundle> _witBundles = ImmutableDictionary<TrustDomain, WitBundle>.Empty;

    public NodeReading Read(NodeUpdate update)
    {
        if (update.Afresh)
        {
            _entries = ImmutableDictionary.CreateBuilder<string, RegistrationEntry>(StringComparer.Ordinal);
            (_bundles, _jwtBundles, _superseded) = (TrustBundles.Empty, ImmutableDictionary<TrustDomain, JwtBundle>.Empty, []);
            _witBundles = ImmutableDictionary<TrustDomain, WitBundle>.Empty;
        }

        if (_entries is null)
        {
            return new NodeReading.Refused(NotBegun);
        }

        if (Problem(update, _entries) is { } problem)
        {
            _entries = null;
            return new NodeReading.Refused(problem);
        }

        return update.More
            ? new NodeReading.Incomplete()
            : new NodeReading.Complete(new NodeView(update.Revision, InOrder(_entries), _bundles, _jwtBundles) { Own = _bundles.Find(trustDomain), Superseded = _superseded, WitBundles = _witBundles });
    }

    // The order of creation decides which identity is a workload's default.
    private static ImmutableArray<RegistrationEntry> InOrder(ImmutableDictionary<string, RegistrationEntry>.Builder entries) =>
        [.. entries.Values.OrderBy(entry => entry.CreatedAt).ThenBy(entry => entry.Id, StringComparer.Ordinal)];

    private string? Problem(NodeUpdate update, ImmutableDictionary<string, RegistrationEntry>.Builder entries)
    {
        foreach (var wire in update.Bundles)
        {
            if (!SpireMapping.TryRead(wire, out var bundle, out var problem) || !SpireMapping.TryRead(wire, bundle.TrustDomain, out var jwtBundle, out problem)
                || !SpireMapping.TryReadWit(wire, bundle.TrustDomain, out var witBundle, out problem))
            {
                return $"bundle of {Printable.Of(wire.TrustDomain)}: {problem}";
            }

            _bundles = _bundles.With(bundle);
            _jwtBundles = _jwtBundles.SetItem(bundle.TrustDomain, jwtBundle);
            _witBundles = witBundle.Authorities.Count > 0 ? _witBundles.SetItem(bundle.TrustDomain, witBundle) : _witBundles.Remove(bundle.TrustDomain);
        }

        foreach (var name in update.RemovedBundles)
        {
            if (!TrustDomain.TryParse(name, out var gone, out var problem))
            {
                return problem;
            }

            _bundles = _bundles.Without(gone);
            _jwtBundles = _jwtBundles.Remove(gone);
            _witBundles = _witBundles.Remove(gone);
        }

        if (update.Authorities is { } notice)
        {
            if (!RevocationListsWire.TryRead(notice.Crls, out var crls, out var problem))
            {
                return problem;
            }

            (_bundles, _superseded) = (_bundles.WithCrls(crls), [.. notice.Superseded]);
        }

        if (update.Entries.Count != update.EntriesCreated.Count)
        {
            return $"there are {update.Entries.Count} entries and {update.EntriesCreated.Count} times of their creation";
        }

        foreach (var (wire, created) in update.Entries.Zip(update.EntriesCreated))
        {
            if (!SpireMapping.TryRead(wire, out var entry, out var problem))
            {
                return $"entry {Printable.Of(wire.Id)}: {problem}";
            }

            entries[entry.Id] = _shared.Share(entry, DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Clamp(created, 0, MaxMilliseconds)));
        }

        entries.RemoveRange(update.RemovedEntries);
        if (entries.Count > MaxEntries)
        {
            return $"more than {MaxEntries} entries";
        }

        return update.More || _bundles.Find(trustDomain) is { Authorities.Count: > 0 } ? null : $"there is no authority of trust domain {trustDomain}";
    }
}
