using System.Security.Cryptography;
using System.Text.Json;

namespace Signet.Server.Audit;

/// <summary>What the store remembers of the trail.</summary>
/// <param name="Start">The position before the oldest record that is kept.</param>
/// <param name="Head">The newest position that is known to have reached the disk.</param>
public sealed record AuditAnchors(AuditPosition Start, AuditPosition Head);

/// <summary>Something that does not hold.</summary>
public sealed record AuditFinding(string File, int Line, long Sequence, string Problem)
{
    public override string ToString() => $"{Path.GetFileName(File)}:{Line}: record {Sequence}: {Problem}";
}

/// <summary>What a look at the whole trail found.</summary>
/// <param name="Records">How many there are.</param>
/// <param name="Head">The last of them.</param>
/// <param name="Torn">How many bytes of an unfinished record stand at the end; 0 for none.</param>
/// <param name="Findings">What does not hold, at most <see cref="AuditVerifier.MaxFindings"/>; empty when all does.</param>
public sealed record AuditReport(long Records, AuditPosition Head, int Torn, IReadOnlyList<AuditFinding> Findings);

/// <summary>
/// Checks the trail: every hash, every number, no file missing, and that it contains the positions that others remember. After something that
/// does not hold it goes on from what the next record says of itself, so that one change is one finding.
/// </summary>
public static class AuditVerifier
{
    public const int MaxFindings = 100;

    /// <param name="files">The files, in order.</param>
    /// <param name="start">The position before the first record; null to take the trail's own word for it.</param>
    /// <param name="remembered">Positions that must be in the trail.</param>
    public static AuditReport Verify(IReadOnlyList<AuditFile> files, AuditPosition? start, IReadOnlyList<AuditPosition> remembered)
    {
        var run = new Run(start, remembered);
        foreach (var file in files)
        {
            run.Look(file);
        }

        return run.Finish();
    }

    private sealed class Run(AuditPosition? start, IReadOnlyList<AuditPosition> remembered)
    {
        private readonly List<AuditFinding> _findings = [];
        private readonly HashSet<AuditPosition> _missing = [.. remembered.Where(position => position != (start ?? AuditPosition.Origin))];
        private AuditPosition? _last = start;
        private readonly List<AuditRawLine> _unreadable = [];
        private AuditFile _file = new("", 0);
        private long _records;

        public void Look(AuditFile file)
        {
            _file = file;
            foreach (var raw in AuditFiles.Lines(file.Path))
            {
                if (!raw.IsWhole || !AuditLine.TryParse(raw.Bytes, out var line))
                {
                    _unreadable.Add(raw);
                    continue;
                }

                Explain(line);
                Check(line, raw.Number);
            }
        }

        public AuditReport Finish()
        {
            var head = _last ?? AuditPosition.Origin;
            var torn = _unreadable is [{ IsWhole: false } only] ? only.Bytes.Length : 0;
            if (torn == 0)
            {
                Explain(null);
            }

            foreach (var position in _missing)
            {
                Report(0, position.Sequence, position.Sequence > head.Sequence
                    ? $"is remembered elsewhere, but the trail ends at record {head.Sequence}: its end was cut off"
                    : "is not the one that is remembered elsewhere: the trail was written anew");
            }

            return new AuditReport(_records, head, torn, _findings);
        }

        private long Next => (_last?.Sequence ?? 0) + 1;

        private void Check(AuditLine line, int number)
        {
            if (_last is { } last)
            {
                if (line.Position.Sequence != last.Sequence + 1)
                {
                    Report(number, line.Position.Sequence, line.Position.Sequence > last.Sequence
                        ? $"follows record {last.Sequence}: records between them are missing"
                        : $"follows record {last.Sequence}: records were moved or repeated");
                }
                else if (AuditLine.Hash(last.Hash, line.Json.Span) != line.Position.Hash)
                {
                    Report(number, line.Position.Sequence, "its hash does not hold: this record, or the one before it, was changed");
                }
            }

            _records++;
            _last = line.Position;
            _missing.Remove(line.Position);
        }

        // A crash may have cut records short; the record after them then owns up to each by its digest.
        private void Explain(AuditLine? next)
        {
            foreach (var line in _unreadable.Where(line => next is not { Kind: AuditKind.Torn } || !Names(next, line)))
            {
                Report(line.Number, Next, "cannot be read; the line was changed or cut off");
            }

            _unreadable.Clear();
        }

        private void Report(int line, long sequence, string problem)
        {
            if (_findings.Count < MaxFindings)
            {
                _findings.Add(new AuditFinding(_file.Path, line, sequence, problem));
            }
        }

        private static bool Names(AuditLine torn, AuditRawLine bytes)
        {
            using var document = JsonDocument.Parse(torn.Json);
            return document.RootElement.TryGetProperty("objects", out var objects)
                && objects.EnumerateArray().Any(one => one.GetString() == AuditLine.NameOf(bytes.Bytes.Span));
        }
    }
}
