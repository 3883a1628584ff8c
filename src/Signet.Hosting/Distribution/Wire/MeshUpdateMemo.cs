using Signet.Rpc.Wire.Mesh;

namespace Signet.Hosting.Distribution.Wire;

/// <summary>
/// Works out once what many listeners are told of the same change: most have the snapshot before and get the newest. Thread-safe.
/// </summary>
public sealed class MeshUpdateMemo
{
    private Change? _last;

    /// <summary>The messages of one revision, as <see cref="MeshUpdates.Between"/> has them; not to be changed.</summary>
    public IEnumerable<MeshUpdate> Between(MeshSnapshot? told, MeshSnapshot now)
    {
        // All of it may be large, and is asked for one by one.
        if (told is null)
        {
            return MeshUpdates.Between(told, now);
        }

        if (Volatile.Read(ref _last) is { } last && ReferenceEquals(last.Told, told) && ReferenceEquals(last.Now, now))
        {
            return last.Updates;
        }

        var change = new Change(told, now, [.. MeshUpdates.Between(told, now)]);
        Volatile.Write(ref _last, change);
        return change.Updates;
    }

    private sealed record Change(MeshSnapshot Told, MeshSnapshot Now, IReadOnlyList<MeshUpdate> Updates);
}
