namespace Signet.Server.Api;

/// <summary>Lists in pages, ordered by a text that never changes, so that nothing is shown twice or left out while the list changes.</summary>
internal static class Pages
{
    /// <summary>The most that one answer holds; also what is taken when the caller names no size.</summary>
    public const int MaxSize = 2000;

    /// <summary>The most that one call may ask for or change.</summary>
    public const int MaxBatch = 500;

    /// <param name="items">All of them.</param>
    /// <param name="keyOf">What they are ordered by.</param>
    /// <param name="size">How many are wanted; 0 leaves it to the server.</param>
    /// <param name="token">Where the page before ended; empty for the first.</param>
    /// <param name="most">How many at the most: fewer of what is large.</param>
    /// <returns>The page, and the token of the next; empty at the end.</returns>
    public static (IReadOnlyList<T> Items, string NextToken) Take<T>(IEnumerable<T> items, Func<T, string> keyOf, int size, string token, int most = MaxSize)
    {
        var wanted = size switch
        {
            < 0 => throw Rpcs.Invalid($"page_size is {size}; it must not be negative"),
            0 => most,
            _ => Math.Min(size, most),
        };
        var page = items
            .Where(item => token.Length == 0 || string.CompareOrdinal(keyOf(item), token) > 0)
            .OrderBy(keyOf, StringComparer.Ordinal)
            .Take(wanted + 1)
            .ToArray();
        return page.Length > wanted ? (page[..wanted], keyOf(page[wanted - 1])) : (page, "");
    }

    /// <exception cref="Grpc.Core.RpcException">INVALID_ARGUMENT: too many.</exception>
    public static void CheckBatch(int count, string what)
    {
        if (count > MaxBatch)
        {
            throw Rpcs.Invalid($"{count} {what} in one call; the limit is {MaxBatch}");
        }
    }
}
