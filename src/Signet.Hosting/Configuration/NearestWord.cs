namespace Signet.Hosting.Configuration;

/// <summary>Finds what somebody probably meant: the word at the smallest edit distance, when it is small.</summary>
public static class NearestWord
{
    private const int MaxLength = 64;

    /// <summary>The nearest of <paramref name="known"/>, or null when nothing is near (more than a third of the letters differ).</summary>
    public static string? To(string word, IEnumerable<string> known)
    {
        if (word.Length is 0 or > MaxLength)
        {
            return null;
        }

        var (best, distance) = known
            .Where(candidate => candidate.Length <= MaxLength)
            .Select(candidate => (candidate, Distance: Distance(word.ToLowerInvariant(), candidate.ToLowerInvariant())))
            .DefaultIfEmpty(("", int.MaxValue))
            .MinBy(pair => pair.Item2);
        return distance <= Math.Max(1, Math.Max(word.Length, best.Length) / 3) ? best : null;
    }

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
