namespace Signet.Hosting.Files;

/// <summary>A folder that only its owner may change: where keys and state lie.</summary>
public static class PrivateFolder
{
    internal const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    internal const UnixFileMode OthersMayEnter =
        OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private const UnixFileMode OthersMayWrite = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    /// <summary>Creates the folder with mode 0700 (missing parents with 0755), or checks that the one there is safe.</summary>
    /// <exception cref="PlaceException">It belongs to another user, others may write to it, or it can't be made.</exception>
    public static void Ensure(string path)
    {
        try
        {
            Create(Path.GetFullPath(path), OwnerOnly);
            if (NativeFile.Look(path, followLink: true) is not { } facts)
            {
                throw new PlaceException("folder", path, "vanished while it was looked at; start again");
            }

            if (facts.Owner != NativeUser.EffectiveId())
            {
                throw new PlaceException("folder", path, $"belongs to user {facts.Owner}, not to user {NativeUser.EffectiveId()} who runs this; change its owner or choose another folder");
            }

            if ((facts.Mode & OthersMayWrite) != 0)
            {
                throw new PlaceException("folder", path, "can be written to by other users; run chmod go-w on it or choose another folder");
            }
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException and not PlaceException)
        {
            throw new PlaceException("folder", path, $"cannot be made: {FileReason.Of(e)}", e);
        }
    }

    /// <summary>Whether anyone but the owner could replace what lies in the folder; in a sticky one (as /tmp) they can't.</summary>
    internal static bool OthersMayReplaceIn(string path) =>
        NativeFile.Look(path, followLink: true) is { } facts && (facts.Mode & OthersMayWrite) != 0 && (facts.Mode & UnixFileMode.StickyBit) == 0;

    internal static void Create(string path, UnixFileMode mode)
    {
        if (Directory.Exists(path))
        {
            return;
        }

        if (Path.GetDirectoryName(path) is { Length: > 0 } parent)
        {
            Create(parent, OthersMayEnter);
        }

        // The mode given here is cut by the umask, which is what we want of it: it can only take away.
        Directory.CreateDirectory(path, mode);
    }
}
