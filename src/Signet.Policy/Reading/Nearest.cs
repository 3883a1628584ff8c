namespace Signet.Policy.Reading;

/// <summary>Finds the word that somebody who mistyped probably meant.</summary>
internal static class Nearest
{
    private const int MaxLength = 64;

    public static string? To(string text, params ReadOnlySpan<string> words)
    {
        string? best = null;
        var limit = Math.Max(2, text.Length / 3);
        foreach (var word in words)
        {
            var distance = Distance(text, word);
            if (distance <= limit)
            {
                (best, limit) = (word, distance - 1);
            }
        }

        return best;
    }

    /// <summary>Edit distance; a difference in case only costs nothing beyond one.</summary>
    private static int Distance(string a, string b)
    {
        if (a.Length > MaxLength || b.Length > MaxLength)
        {
            return int.MaxValue;
        }

        if (a.Equals(b, StringComparison.OrdinalIgnoreCase))
        {
            return 1;
        }

        var row = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            row[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
