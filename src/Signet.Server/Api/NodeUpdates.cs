using Google.Protobuf;
using Signet.Identity.Registration;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;
using Bundle = Signet.Rpc.Wire.Spire.Types.Bundle;

namespace Signet.Server.Api;

/// <summary>What an agent is to know at one moment. Immutable.</summary>
/// <param name="Entries">The entries it may serve, by ID.</param>
/// <param name="Bundles">The bundles it may hand out, one of each trust domain.</param>
internal sealed record NodeImage(IReadOnlyDictionary<string, RegistrationEntry> Entries, IReadOnlyList<Bundle> Bundles)
{
    /// <summary>What is being replaced and what is revoked among the authorities.</summary>
    public AuthorityNotice Authorities { get; init; } = new();
}

/// <summary>What lies between two images, in messages of bounded size.</summary>
internal static class NodeUpdates
{
    /// <summary>A message is full with so many entries …</summary>
    public const int MaxEntries = 500;

    /// <summary>… or so many bytes; what crosses this line still goes into it.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>The messages of one revision; none when both say the same.</summary>
    /// <param name="told">What the agent knows; null when that is unknown, and all of <paramref name="now"/> is sent afresh.</param>
    /// <param name="now">What it is to know.</param>
    /// <param name="revision">The number of this revision.</param>
    public static IEnumerable<NodeUpdate> Between(NodeImage? told, NodeImage now, ulong revision)
    {
        var page = new NodeUpdate { Revision = revision, Afresh = told is null };
        var size = 0;
        var any = told is null;
        foreach (var (add, bytes) in Changes(told ?? new NodeImage(new Dictionary<string, RegistrationEntry>(), []), now))
        {
            if (size >= MaxBytes || page.Entries.Count + page.RemovedEntries.Count >= MaxEntries)
            {
                page.More = true;
                yield return page;
                page = new NodeUpdate { Revision = revision };
                size = 0;
            }

            add(page);
            size += bytes;
            any = true;
        }

        if (any)
        {
            yield return page;
        }
    }

    // Nothing is withdrawn before what takes its place is there, and nobody is trusted longer than needed: bundles first.
    private static IEnumerable<(Action<NodeUpdate> Add, int Bytes)> Changes(NodeImage told, NodeImage now)
    {
        foreach (var bundle in now.Bundles.Where(bundle => !told.Bundles.Contains(bundle)))
        {
            yield return (page => page.Bundles.Add(bundle), bundle.CalculateSize());
        }

        foreach (var name in told.Bundles.Select(bundle => bundle.TrustDomain).Except(now.Bundles.Select(bundle => bundle.TrustDomain)))
        {
            yield return (page => page.RemovedBundles.Add(name), name.Length);
        }

        if (!now.Authorities.Equals(told.Authorities))
        {
            yield return (page => page.Authorities = now.Authorities, now.Authorities.CalculateSize());
        }

        // An entry that did not change is the same object in both.
        foreach (var (id, entry) in now.Entries)
        {
            if (told.Entries.GetValueOrDefault(id) != entry)
            {
                var wire = entry.ToWire();
                yield return (page => page.Entries.Add(wire), wire.CalculateSize());
            }
        }

        foreach (var id in told.Entries.Keys.Where(id => !now.Entries.ContainsKey(id)))
        {
            yield return (page => page.RemovedEntries.Add(id), id.Length);
        }
    }
}
