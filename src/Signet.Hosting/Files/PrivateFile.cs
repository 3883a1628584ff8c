namespace Signet.Hosting.Files;

/// <summary>A file that only its owner may read: keys and state.</summary>
public static class PrivateFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>
    /// Replaces a file in one step, with mode 0600: whoever looks, also after a power cut, finds the old content or the new one, never a part. When the
    /// new content can't be written the old file is untouched and nothing is left beside it.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="content">What is to stand in it.</param>
    /// <param name="rest">What is to stand after it.</param>
    /// <exception cref="PlaceException">The disk is full, the folder may not be written to, …</exception>
    public static void WriteAtomically(string path, ReadOnlySpan<byte> content, ReadOnlySpan<byte> rest = default)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var draft = Path.Combine(folder, $".{Path.GetFileName(path)}.{Path.GetRandomFileName()}");
        try
        {
            using (var file = new FileStream(draft, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                Share = FileShare.None,
                UnixCreateMode = OwnerOnly,
                BufferSize = 0,
            }))
            {
                file.Write(content);
                file.Write(rest);
                file.Flush(flushToDisk: true);
            }

            File.Move(draft, path, overwrite: true);
            NativeFile.FlushFolder(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Discard(draft);
            throw new PlaceException("file", path, $"cannot be written: {FileReason.Of(e)}", e);
        }
    }

    private static void Discard(string draft)
    {
        try
        {
            File.Delete(draft);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The write's own failure is the one worth telling.
        }
    }
}
