namespace Signet.Hosting.Files;

/// <summary>
/// Which file lies at a path, and when it last changed. Two are equal only for one file that nobody has written to in between; a program can set back
/// the time of a change, but not the time at which it did so.
/// </summary>
public readonly record struct FileStamp
{
    private readonly NativeFile.FileVersion _version;

    private FileStamp(NativeFile.FileVersion version) => _version = version;

    /// <summary>The file at the end of a path or link; null when nothing is there.</summary>
    /// <exception cref="IOException">It can't be looked at.</exception>
    public static FileStamp? Of(string path) => NativeFile.Look(path, followLink: true) is { } facts ? new FileStamp(facts.Version) : null;
}
