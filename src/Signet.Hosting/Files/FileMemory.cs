using System.Collections.Immutable;

namespace Signet.Hosting.Files;

/// <summary>
/// What the last look at a <see cref="FileSet"/> found, so that the next one reads only files that have changed. A file counts as unchanged when its
/// version is the same and its content was read <see cref="Settling"/> after that version was first seen: clocks of file systems tick coarsely, and
/// two writes within one tick look alike. Not thread-safe.
/// </summary>
internal sealed class FileMemory
{
    /// <summary>Longer than a tick of any file system's clock; FAT's is two seconds.</summary>
    public static readonly TimeSpan Settling = TimeSpan.FromSeconds(3);

    private readonly TimeProvider _time;
    private Dictionary<string, Entry> _entries;

    /// <param name="known">What has been read already, nobody knows of which version.</param>
    /// <param name="time">The clock.</param>
    public FileMemory(ImmutableArray<WatchedFile> known, TimeProvider time)
    {
        _time = time;
        _entries = known.ToDictionary(file => file.Path, file => new Entry(file, 0, null), StringComparer.Ordinal);
    }

    /// <summary>A file as it was read.</summary>
    /// <param name="File">Its content.</param>
    /// <param name="Bytes">How many bytes that was.</param>
    /// <param name="Version">The version that lay there before it was read; null when nobody looked.</param>
    public sealed record Entry(WatchedFile File, long Bytes, NativeFile.FileVersion? Version)
    {
        /// <summary>When the version was first seen.</summary>
        public long FirstSeen { get; init; }

        /// <summary>Whether the version can't have other content.</summary>
        public bool IsSettled { get; init; }
    }

    /// <summary>The file, when it need not be read again; else null.</summary>
    public Entry? Recall(string path, NativeFile.FileVersion? version) =>
        version is not null && _entries.TryGetValue(path, out var last) && last.IsSettled && last.Version == version ? last : null;

    /// <summary>Keeps exactly these for the next look. A file that has the same text as before is the same object.</summary>
    /// <returns>What was kept, in the same order.</returns>
    public IReadOnlyList<Entry> Learn(IReadOnlyList<Entry> found)
    {
        var now = _time.GetTimestamp();
        Entry[] kept = [.. found.Select(entry => Keep(entry, now))];
        _entries = kept.ToDictionary(entry => entry.File.Path, StringComparer.Ordinal);
        return kept;
    }

    private Entry Keep(Entry read, long now)
    {
        if (!_entries.TryGetValue(read.File.Path, out var last) || ReferenceEquals(last, read))
        {
            return last ?? read with { FirstSeen = now };
        }

        var file = last.File == read.File ? last.File : read.File;
        return read.Version is null || read.Version != last.Version
            ? read with { File = file, FirstSeen = now }
            : read with { File = file, FirstSeen = last.FirstSeen, IsSettled = _time.GetElapsedTime(last.FirstSeen, now) >= Settling };
    }
}
