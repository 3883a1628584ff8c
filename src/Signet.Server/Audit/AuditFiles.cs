using System.Globalization;
using Signet.Hosting.Files;

namespace Signet.Server.Audit;

/// <summary>One file of the trail.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="First">The number of its first record, which is also its name.</param>
public sealed record AuditFile(string Path, long First);

/// <summary>A line as it lies in a file, whatever it holds.</summary>
/// <param name="Number">From 1.</param>
/// <param name="Bytes">Without the newline.</param>
/// <param name="IsWhole">Whether there is a newline.</param>
/// <param name="End">Where in the file the next line begins, in bytes.</param>
public sealed record AuditRawLine(int Number, ReadOnlyMemory<byte> Bytes, bool IsWhole, long End);

/// <summary>The folder of the trail: <c>0000000000000001.jsonl</c>, <c>0000000000004711.jsonl</c>, …, each named by its first record.</summary>
public static class AuditFiles
{
    private const string Extension = ".jsonl";

    public static string PathOf(string folder, long first) => Path.Combine(folder, first.ToString("D16", CultureInfo.InvariantCulture) + Extension);

    /// <summary>In the order of their records. Other files in the folder are left alone.</summary>
    public static IReadOnlyList<AuditFile> List(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*" + Extension)
            .Select(path => new AuditFile(path, long.TryParse(Path.GetFileNameWithoutExtension(path), NumberStyles.None, CultureInfo.InvariantCulture, out var first) ? first : 0))
            .Where(file => file.First > 0)
            .OrderBy(file => file.First)];

    /// <summary>The lines of a file that may grow meanwhile; a line that is longer than allowed comes in pieces, none of which can be read as a record.</summary>
    /// <param name="path">The file.</param>
    /// <param name="from">Where to begin, in bytes; lines are counted from there.</param>
    /// <exception cref="PlaceException">It can't be read.</exception>
    public static IEnumerable<AuditRawLine> Lines(string path, long from = 0)
    {
        using var file = Open(path);
        file.Seek(from, SeekOrigin.Begin);
        var buffer = new byte[64 * 1024];
        var line = new MemoryStream();
        var number = 1;
        int read;
        while ((read = file.Read(buffer)) > 0)
        {
            for (var rest = buffer.AsMemory(0, read); rest.Length > 0;)
            {
                var end = rest.Span.IndexOf((byte)'\n');
                line.Write(rest.Span[..(end < 0 ? rest.Length : end)]);
                from += end < 0 ? rest.Length : end + 1;
                rest = end < 0 ? default : rest[(end + 1)..];
                if (end >= 0 || line.Length > AuditLine.MaxLength)
                {
                    yield return new AuditRawLine(number++, line.ToArray(), IsWhole: true, from);
                    line.SetLength(0);
                }
            }
        }

        if (line.Length > 0)
        {
            yield return new AuditRawLine(number, line.ToArray(), IsWhole: false, from);
        }
    }

    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PlaceException("audit trail", path, $"cannot be read: {FileReason.Of(e)}", e);
        }
    }
}
