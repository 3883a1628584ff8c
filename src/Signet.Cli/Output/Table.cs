using System.Globalization;
using System.Text;
using Signet.Hosting;

namespace Signet.Cli.Output;

/// <summary>A cell of a <see cref="Table"/>; a plain string becomes one.</summary>
public readonly record struct Cell(string Text, Tone Tone = Tone.Plain)
{
    public static implicit operator Cell(string? text) => new(text ?? "");
}

/// <summary>Rows under headings, in columns as wide as their widest cell. What a cell holds may come from a peer: it is shown on one line.</summary>
public sealed class Table(params string[] headings)
{
    private const int Gap = 2;

    private readonly List<Cell[]> _rows = [];

    public bool IsEmpty => _rows.Count == 0;

    /// <summary>Adds a row: one cell per heading.</summary>
    /// <exception cref="ArgumentException">There are more or fewer cells than headings.</exception>
    public void Add(params Cell[] cells)
    {
        if (cells.Length != headings.Length)
        {
            throw new ArgumentException($"The row has {cells.Length} cells; the table has {headings.Length} columns.", nameof(cells));
        }

        _rows.Add([.. cells.Select(cell => cell with { Text = OneLine.Of(cell.Text ?? "") })]);
    }

    /// <summary>Writes headings in capitals, then the rows.</summary>
    public void Write(TextWriter output, Ink ink)
    {
        var all = _rows.Prepend([.. headings.Select(heading => new Cell(heading.ToUpperInvariant(), Tone.Strong))]).ToList();
        var widths = headings.Select((_, column) => all.Max(row => Width(row[column].Text))).ToArray();
        foreach (var row in all)
        {
            var line = new StringBuilder();
            for (var column = 0; column < row.Length; column++)
            {
                line.Append(ink.Of(row[column].Text, row[column].Tone));
                if (column < row.Length - 1)
                {
                    line.Append(' ', widths[column] - Width(row[column].Text) + Gap);
                }
            }

            output.WriteLine(line.ToString().TrimEnd());
        }
    }

    /// <summary>How many columns of a terminal a text takes: marks take none, East Asian letters and emoji two.</summary>
    private static int Width(string text)
    {
        var width = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            width += Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark ? 0
                : rune.Value is (>= 0x1100 and <= 0x115f) or (>= 0x2e80 and <= 0xa4cf) or (>= 0xac00 and <= 0xd7a3) or (>= 0xf900 and <= 0xfaff)
                    or (>= 0xfe30 and <= 0xfe6f) or (>= 0xff00 and <= 0xff60) or (>= 0x1f300 and <= 0x1faff) or (>= 0x20000 and <= 0x3fffd) ? 2 : 1;
        }

        return width;
    }
}
