using System.Text;

namespace Signet.Hosting.Files;

/// <summary>Files of other programs of which a line is of interest, such as pid files.</summary>
public static class SmallFile
{
    private const int MaxBytes = 4096;

    /// <summary>The text, and the user whose file it is.</summary>
    /// <exception cref="PlaceException">It can't be read, is larger than 4 KiB, or others than its owner may write to it.</exception>
    public static (string Text, uint Owner) Read(string path)
    {
        try
        {
            var facts = NativeFile.Look(path, followLink: true) ?? throw new PlaceException("file", path, "is not there; does the program run?");
            return (facts.Mode & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) == 0
                ? (Encoding.UTF8.GetString(BoundedFile.Read(path, MaxBytes)), facts.Owner)
                : throw new PlaceException("file", path, "can be written to by others than its owner; run chmod go-w on it");
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException and not PlaceException)
        {
            throw new PlaceException("file", path, $"cannot be read: {FileReason.Of(e)}", e);
        }
    }

    /// <summary>The user whose file or folder it is; null when nothing is there.</summary>
    /// <exception cref="PlaceException">It can't be looked at.</exception>
    public static uint? OwnerOf(string path)
    {
        try
        {
            return NativeFile.Look(path, followLink: true)?.Owner;
        }
        catch (IOException e)
        {
            throw new PlaceException("file", path, $"cannot be looked at: {FileReason.Of(e)}", e);
        }
    }
}
