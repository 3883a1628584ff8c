using System.Collections.Immutable;
using System.Text;
using Signet.Hosting.Configuration;

namespace Signet.Hosting.Files;

/// <summary>One file of a <see cref="FileSet"/> with its whole text.</summary>
/// <param name="Path">Where it lies.</param>
/// <param name="Name">The file's name without its folder.</param>
/// <param name="Text">Its content, UTF-8.</param>
public sealed record WatchedFile(string Path, string Name, string Text);

/// <summary>
/// Text files that belong together: the policies of a folder, the three PEM files of an identity. Names them and reads them whole; immutable,
/// thread-safe.
/// </summary>
public sealed class FileSet
{
    /// <summary>The largest file, in bytes.</summary>
    public const int MaxFileBytes = 4 * 1024 * 1024;

    /// <summary>The most files of a folder.</summary>
    public const int MaxFiles = 10_000;

    /// <summary>The most bytes of all files together.</summary>
    public const long MaxTotalBytes = 64 * 1024 * 1024;

    private const int MaxAttempts = 3;
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly IReadOnlyList<string> _paths;
    private readonly IReadOnlyList<string>? _extensions;

    private FileSet(IReadOnlyList<string> paths, IReadOnlyList<string>? extensions) => (_paths, _extensions) = (paths, extensions);

    /// <summary>Exactly these files, in this order.</summary>
    public static FileSet Of(params IReadOnlyList<string> paths) => new([.. paths.Select(Path.GetFullPath)], null);

    /// <summary>
    /// The <c>*.yaml</c>, <c>*.yml</c> and <c>*.json</c> files of a folder by name, without its subfolders and hidden files; or, when the path is a file,
    /// that one.
    /// </summary>
    public static FileSet Folder(string path) => new([Path.GetFullPath(path)], [".yaml", ".yml", ".json"]);

    /// <summary>The folders in which something happens when a file of the set changes.</summary>
    internal IReadOnlyList<string> FoldersToWatch =>
        [.. _paths.Select(path => _extensions is not null && Directory.Exists(path) ? path : Path.GetDirectoryName(path) ?? path).Distinct(StringComparer.Ordinal)];

    /// <summary>The only file of the set, as it reads when it holds <paramref name="text"/>.</summary>
    internal WatchedFile Holding(string text) => new(_paths[0], Path.GetFileName(_paths[0]), text);

    /// <summary>Reads every file.</summary>
    /// <exception cref="PlaceException">The folder or one of the files can't be read, is not text, or is too large. There is no half answer.</exception>
    public ImmutableArray<WatchedFile> Read() => Read(null);

    /// <summary>Reads the files that have changed since the last look; the others are the same objects as then.</summary>
    /// <exception cref="PlaceException">The folder or one of the files can't be read, is not text, or is too large. There is no half answer.</exception>
    internal ImmutableArray<WatchedFile> Read(FileMemory? memory)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return ReadOnce(memory);
            }
            catch (PlaceException e) when (e.InnerException is FileNotFoundException && _extensions is not null && attempt < MaxAttempts)
            {
                // Replaced between listing and reading: list again.
            }
        }
    }

    private ImmutableArray<WatchedFile> ReadOnce(FileMemory? memory)
    {
        var found = new List<FileMemory.Entry>();
        long total = 0;
        foreach (var path in Paths())
        {
            try
            {
                var facts = NativeFile.Look(path, followLink: true);
                if (facts is { IsFile: false })
                {
                    throw new IOException("it is not a file");
                }

                var entry = memory?.Recall(path, facts?.Version) ?? ReadAnew(path, facts?.Version);
                total += entry.Bytes;
                found.Add(entry);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                throw new PlaceException("file", path, $"cannot be read: {FileReason.Of(e)}", e);
            }

            if (total > MaxTotalBytes)
            {
                throw new PlaceException("folder", _paths[0], $"holds more than {SizeText.Format(MaxTotalBytes)}; is it the right one?");
            }
        }

        return [.. (memory?.Learn(found) ?? found).Select(entry => entry.File)];
    }

    private static FileMemory.Entry ReadAnew(string path, NativeFile.FileVersion? version)
    {
        var content = BoundedFile.Read(path, MaxFileBytes);
        return new FileMemory.Entry(new WatchedFile(path, Path.GetFileName(path), StrictUtf8.GetString(content)), content.Length, version);
    }

    private IReadOnlyList<string> Paths()
    {
        if (_extensions is null || File.Exists(_paths[0]))
        {
            return _paths;
        }

        try
        {
            var found = Directory.EnumerateFiles(_paths[0])
                .Where(path => _extensions.Contains(Path.GetExtension(path)) && !Path.GetFileName(path).StartsWith('.'))
                .Take(MaxFiles + 1)
                .ToList();
            found.Sort(StringComparer.Ordinal);
            return found.Count <= MaxFiles ? found : throw new PlaceException("folder", _paths[0], $"holds more than {MaxFiles} files; is it the right one?");
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException and not PlaceException)
        {
            throw new PlaceException("folder", _paths[0], $"cannot be read: {FileReason.Of(e)}", e);
        }
    }
}
