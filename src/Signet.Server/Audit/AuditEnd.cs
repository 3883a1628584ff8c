using Microsoft.Win32.SafeHandles;
using Signet.Hosting.Files;

namespace Signet.Server.Audit;

/// <summary>Where the trail ended when it was opened, and what is to be said of it.</summary>
/// <param name="File">The last file, open for adding.</param>
/// <param name="Path">Where it is.</param>
/// <param name="Length">How long it is.</param>
/// <param name="Last">The position after which the chain goes on.</param>
/// <param name="Amends">Records that own up to what is missing or unfinished.</param>
internal sealed record AuditEnd(SafeFileHandle File, string Path, long Length, AuditPosition Last, IReadOnlyList<AuditEvent> Amends)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <exception cref="PlaceException">A file can't be read or written.</exception>
    public static AuditEnd Find(string folder, AuditAnchors anchors)
    {
        var files = AuditFiles.List(folder);
        var path = files.Count > 0 ? files[^1].Path : AuditFiles.PathOf(folder, anchors.Head.Sequence + 1);
        var last = files.Reverse().Select(file => LastIn(file.Path)).FirstOrDefault(position => position is not null) ?? anchors.Start;
        var amends = new List<AuditEvent>();
        var unfinished = files.Count > 0 ? Unfinished(path) : [];
        if (unfinished.Count > 0)
        {
            amends.Add(new AuditEvent
            {
                Kind = AuditKind.Torn,
                Action = "audit.open",
                Reason = "the record before this one was cut short by a crash",
                Objects = [.. unfinished.Select(line => AuditLine.NameOf(line.Bytes.Span))],
            });
        }

        if (last.Sequence < anchors.Head.Sequence)
        {
            amends.Add(new AuditEvent
            {
                Kind = AuditKind.Gap,
                Action = "audit.open",
                Reason = $"the trail ended at record {last.Sequence}, but the store remembers record {anchors.Head.Sequence}: what is between them is missing",
            });
            last = anchors.Head;
        }

        var file = Open(path);
        if (unfinished is [.., { IsWhole: false }])
        {
            RandomAccess.Write(file, "\n"u8, RandomAccess.GetLength(file));
        }

        return new AuditEnd(file, path, RandomAccess.GetLength(file), last, amends);
    }

    /// <summary>The last record in a file that can be read, or null.</summary>
    public static AuditPosition? LastIn(string path)
    {
        AuditPosition? last = null;
        foreach (var raw in AuditFiles.Lines(path))
        {
            last = raw.IsWhole && AuditLine.TryParse(raw.Bytes, out var line) ? line.Position : last;
        }

        return last;
    }

    /// <exception cref="PlaceException">It can't be opened.</exception>
    public static SafeFileHandle Open(string path)
    {
        try
        {
            using var made = new FileStream(path, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, Share = FileShare.ReadWrite, UnixCreateMode = OwnerOnly });
            return System.IO.File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PlaceException("audit trail", path, $"cannot be written: {FileReason.Of(e)}", e);
        }
    }

    // What stands after the last record that can be read.
    private static List<AuditRawLine> Unfinished(string path)
    {
        var lines = new List<AuditRawLine>();
        foreach (var raw in AuditFiles.Lines(path))
        {
            if (raw.IsWhole && AuditLine.TryParse(raw.Bytes, out _))
            {
                lines.Clear();
            }
            else
            {
                lines.Add(raw);
            }
        }

        return lines;
    }
}
