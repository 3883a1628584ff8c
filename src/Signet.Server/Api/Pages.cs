using Google.Protobuf;

namespace Signet.Server.Api;

/// <summary>
/// Lists in pages, ordered by a text that never changes, so that nothing is shown twice or left out while the list changes. A page never grows beyond
/// what clients take as one message.
/// </summary>
internal static class Pages
{
    /// <summary>The most that one answer holds; also what is taken when the caller names no size.</summary>
    public const int MaxSize = 2000;

    /// <summary>The most that one call may ask for or change.</summary>
    public const int MaxBatch = 500;

    /// <summary>The most that one message holds, in bytes, unless a single item is larger; clients take 4 MiB unless told otherwise.</summary>
    public const int MaxBytes = 3 * 1024 * 1024;

    /// <param name="items">All of them.</param>
    /// <param name="keyOf">What they are ordered by.</param>
    /// <param name="toWire">What is shown of one.</param>
    /// <param name="size">How many are wanted; 0 leaves it to the server.</param>
    /// <param name="token">Where the page before ended; empty for the first.</param>
    /// <param name="most">How many at the most: fewer of what is large.</param>
    /// <returns>The page, and the token of the next; empty at the end.</returns>
    public static (IReadOnlyList<TWire> Items, string NextToken) Take<T, TWire>(IEnumerable<T> items, Func<T, string> keyOf, Func<T, TWire> toWire, int size, string token, int most = MaxSize)
        where TWire : IMessage
    {
        var wanted = size switch
        {
            < 0 => throw Rpcs.Invalid($"page_size is {size}; it must not be negative"),
            0 => most,
            _ => Math.Min(size, most),
        };
        var sorted = items
            .Where(item => token.Length == 0 || string.CompareOrdinal(keyOf(item), token) > 0)
            .OrderBy(keyOf, StringComparer.Ordinal)
            .Take(wanted + 1)
            .ToArray();
        var (page, more) = Split(sorted.Select(toWire), wanted).First();
        return (page, more ? keyOf(sorted[page.Count - 1]) : "");
    }

    /// <summary>All of them in messages of at most so many; nothing at all is one empty message, which says that nothing follows.</summary>
    public static IEnumerable<(IReadOnlyList<T> Page, bool More)> Split<T>(IEnumerable<T> items, int most)
        where T : IMessage
    {
        var (page, bytes) = (new List<T>(), 0L);
        foreach (var item in items)
        {
            var size = item.CalculateSize();
            if (page.Count == most || (page.Count > 0 && bytes + size > MaxBytes))
            {
                yield return (page, true);
                (page, bytes) = ([], 0);
            }

            page.Add(item);
            bytes += size;
        }

        yield return (page, false);
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
