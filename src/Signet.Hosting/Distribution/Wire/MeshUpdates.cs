using System.Collections.Immutable;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Hosting.Distribution.Wire;

/// <summary>What lies between two snapshots, in messages of bounded size.</summary>
public static class MeshUpdates
{
    /// <summary>A message is full with so many documents …</summary>
    public const int MaxDocuments = 500;

    /// <summary>… or so many bytes; what crosses this line still goes into it.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>The messages of one revision; none when both say the same.</summary>
    /// <param name="told">What the other side knows; null when that is unknown, and all of <paramref name="now"/> is sent afresh.</param>
    /// <param name="now">What it is to know.</param>
    public static IEnumerable<MeshUpdate> Between(MeshSnapshot? told, MeshSnapshot now)
    {
        var page = new MeshUpdate { Revision = now.Revision, Afresh = told is null };
        var (size, any) = (0, told is null);
        foreach (var (add, bytes) in Changes(told?.Documents ?? ImmutableDictionary<string, MeshDocument>.Empty, now.Documents))
        {
            if (size >= MaxBytes || page.Documents.Count + page.Removed.Count >= MaxDocuments)
            {
                page.More = true;
                yield return page;
                (page, size) = (new MeshUpdate { Revision = now.Revision }, 0);
            }

            add(page);
            (size, any) = (size + bytes, true);
        }

        if (any)
        {
            yield return page;
        }
    }

    private static IEnumerable<(Action<MeshUpdate> Add, int Bytes)> Changes(ImmutableDictionary<string, MeshDocument> told, ImmutableDictionary<string, MeshDocument> now)
    {
        if (ReferenceEquals(told, now))
        {
            yield break;
        }

        foreach (var (name, one) in now)
        {
            if (told.GetValueOrDefault(name) != one)
            {
                yield return (page => page.Documents.Add(ToWire(one)), one.Size);
            }
        }

        foreach (var name in told.Keys.Where(name => !now.ContainsKey(name)))
        {
            yield return (page => page.Removed.Add(name), name.Length);
        }
    }

    private static Rpc.Wire.Mesh.MeshDocument ToWire(MeshDocument one) =>
        new() { Name = one.Name, Kind = one.Kind, Namespace = one.Namespace, Everywhere = one.Everywhere, Text = one.Text };
}
