namespace Signet.Identity;

/// <summary>Finds what somebody probably meant: the word at the smallest edit distance, when it is small.</summary>
public static class NearestWord
{
    private const int MaxLength = 64;

    /// <summary>The nearest of <paramref name="known"/>, the first of several; null when nothing is near: in long words a third of the letters may differ, in short ones a letter or two.</summary>
    public static string? To(string word, params ReadOnlySpan<string> known)
    {
        if (word.Length is 0 or > MaxLength)
        {
            return null;
        }

        string? best = null;
        var least = int.MaxValue;
        foreach (var candidate in known)
        {
            if (candidate.Length <= MaxLength
                && Distance(word.ToLowerInvariant(), candidate.ToLowerInvariant()) is var distance
                && distance < least
                && distance <= Near(Math.Max(word.Length, candidate.Length)))
            {
                (best, least) = (candidate, distance);
            }
        }

        return best;
    }

    /// <inheritdoc cref="To(string, ReadOnlySpan{string})"/>
    public static string? To(string word, IEnumerable<string> known) => To(word, known.ToArray());

    private static int Near(int length) => length < 5 ? 1 : Math.Max(2, length / 3);

    /// <summary>Levenshtein's distance: insertions, deletions and replacements.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(above, row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }

        return row[^1];
    }
}
