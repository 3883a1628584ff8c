namespace Signet.Hosting.Files;

/// <summary>A file for other programs.</summary>
/// <param name="Name">Its name in the folder; neither a path nor beginning with a dot.</param>
/// <param name="Content">May be a key: never logged.</param>
/// <param name="Mode">Exactly these permissions, whatever the umask.</param>
public sealed record PublishedFile(string Name, ReadOnlyMemory<byte> Content, UnixFileMode Mode);

/// <summary>
/// A folder whose files change together, as Kubernetes does it for mounted Secrets: they lie in a folder of their version, <c>..data</c> is a link to the version
/// in force, and each file's name is a link through <c>..data</c>. Replacing that one link changes all files in one step, also for a power cut. A version is
/// deleted when the one after its successor comes, so that whoever just opened the folder still finds the files. One writer at a time.
/// </summary>
public sealed class PublishedFolder
{
    private const string Current = "..data", VersionPrefix = "..version-";
    private const UnixFileMode KeyMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _path;
    private readonly FileOwner _owner;

    /// <param name="path">Made when missing; its parents too.</param>
    /// <param name="owner">Whose the files are to be; giving files away needs root.</param>
    public PublishedFolder(string path, FileOwner owner) => (_path, _owner) = (Path.GetFullPath(path), owner);

    /// <summary>Puts these files, and no others, into force. When it throws, those in force before still are.</summary>
    /// <exception cref="PlaceException">The disk is full, the folder is not safe, this process may not give files away, …</exception>
    public void Replace(IReadOnlyList<PublishedFile> files)
    {
        EnsureFolder(files);
        var version = VersionPrefix + Guid.NewGuid().ToString("N");
        var folder = Path.Combine(_path, version);
        try
        {
            // 1. All files, whole and durable, where nobody looks yet.
            Directory.CreateDirectory(folder, PrivateFolder.OwnerOnly);
            foreach (var file in files)
            {
                Write(Path.Combine(folder, file.Name), file);
            }

            File.SetUnixFileMode(folder, ModeFor(files));
            NativeFile.FlushFolder(folder);

            // 2. The one step.
            var last = new FileInfo(Path.Combine(_path, Current)).LinkTarget;
            Link(Current, version);

            // 3. What leads there, and what is not needed any more.
            foreach (var file in files)
            {
                Link(file.Name, $"{Current}/{file.Name}");
            }

            NativeFile.FlushFolder(_path);
            Clear(files, keep: [version, last]);
        }
        catch (Exception e) when (e is IOException and not PlaceException or UnauthorizedAccessException)
        {
            if (new FileInfo(Path.Combine(_path, Current)).LinkTarget != version && Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }

            throw new PlaceException("folder", _path, $"cannot be written: {FileReason.Of(e)}", e);
        }
    }

    /// <summary>Others may enter only when a file in it is for others; the files' own modes say which.</summary>
    private UnixFileMode ModeFor(IReadOnlyList<PublishedFile> files) =>
        !_owner.IsUnchanged || files.Any(file => (file.Mode & ~KeyMode) != 0) ? PrivateFolder.OthersMayEnter : PrivateFolder.OwnerOnly;

    private void EnsureFolder(IReadOnlyList<PublishedFile> files)
    {
        var isNew = !Directory.Exists(_path);
        PrivateFolder.Ensure(_path);
        if (isNew)
        {
            File.SetUnixFileMode(_path, ModeFor(files));
        }
    }

    private void Write(string path, PublishedFile file)
    {
        using var stream = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None, UnixCreateMode = KeyMode, BufferSize = 0 });
        NativeFile.ChangeOwner(stream.SafeFileHandle, _owner);
        File.SetUnixFileMode(stream.SafeFileHandle, file.Mode);
        stream.Write(file.Content.Span);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Makes or replaces a link in one step; one that is right already stays.</summary>
    private void Link(string name, string target)
    {
        var path = Path.Combine(_path, name);
        if (new FileInfo(path).LinkTarget == target)
        {
            return;
        }

        var draft = Path.Combine(_path, $"..draft-{Guid.NewGuid():N}");
        File.CreateSymbolicLink(draft, target);
        try
        {
            NativeFile.Rename(draft, path);
        }
        catch
        {
            File.Delete(draft);
            throw;
        }
    }

    private void Clear(IReadOnlyList<PublishedFile> files, string?[] keep)
    {
        foreach (var entry in new DirectoryInfo(_path).EnumerateFileSystemInfos())
        {
            if (entry.LinkTarget is { } target)
            {
                if ((target.StartsWith(Current + "/", StringComparison.Ordinal) && !files.Any(file => file.Name == entry.Name)) || entry.Name.StartsWith("..draft-", StringComparison.Ordinal))
                {
                    entry.Delete();
                }
            }
            else if (entry is DirectoryInfo old && old.Name.StartsWith(VersionPrefix, StringComparison.Ordinal) && !keep.Contains(old.Name))
            {
                old.Delete(recursive: true);
            }
        }
    }
}
