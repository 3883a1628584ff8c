namespace Signet.Server.Audit;

/// <summary>Reads a trail that grows: each time what has come since. Not thread-safe.</summary>
/// <param name="folder">Where the files lie.</param>
/// <param name="after">The number of the last record that is not wanted.</param>
public sealed class AuditReader(string folder, long after)
{
    private long _after = after;
    private long _file;
    private long _offset;

    /// <summary>The records that have come, oldest first; lines that are none are passed over.</summary>
    public IEnumerable<AuditLine> Read()
    {
        while (NextFile() is { } file)
        {
            if (file.First != _file)
            {
                (_file, _offset) = (file.First, 0);
            }

            var before = _offset;
            foreach (var raw in AuditFiles.Lines(file.Path, _offset).Where(raw => raw.IsWhole))
            {
                _offset = raw.End;
                if (AuditLine.TryParse(raw.Bytes, out var line) && line.Position.Sequence > _after)
                {
                    _after = line.Position.Sequence;
                    yield return line;
                }
            }

            if (_offset == before)
            {
                yield break;
            }
        }
    }

    // The file that holds the next record, or the newest.
    private AuditFile? NextFile()
    {
        var files = AuditFiles.List(folder);
        return files.LastOrDefault(file => file.First <= _after + 1) ?? files.FirstOrDefault();
    }
}
