using System.Globalization;
using Signet.Hosting.Admin;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Admin;

/// <summary>
/// <c>/watch</c>: a line of JSON per access record while it happens, as in the access log. Who reads slowly loses records and is told how many by
/// <c>{"dropped": N}</c>; traffic waits for nobody.
/// </summary>
internal static class WatchPage
{
    private const string MediaType = "application/x-ndjson";
    private const int WriteSize = 16 * 1024;

    public static AdminAnswer Answer(AccessTaps taps, IReadOnlyDictionary<string, string> query)
    {
        var count = long.MaxValue;
        if (query.TryGetValue("count", out var text) && !(long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count > 0))
        {
            return AdminAnswer.Problem(400, "count is not a number above 0", "leave it out to watch without an end");
        }

        if (!AccessFilter.TryParse(query.Where(pair => pair.Key != "count"), out var filter, out var problem))
        {
            return AdminAnswer.Problem(400, problem, "for example /watch?verdict=deny&source=example.org/ns/default/*");
        }

        return taps.TryOpen(filter) is { } tap
            ? AdminAnswer.Streamed(MediaType, (to, cancellationToken) => PumpAsync(tap, count, to, cancellationToken))
            : AdminAnswer.Problem(503, $"{AccessTaps.MaxTaps} others watch already", "end one of them first");
    }

    private static async Task PumpAsync(AccessTap tap, long left, Stream to, CancellationToken cancellationToken)
    {
        using var watching = tap;
        var (lines, format) = (new LineBuffer(), new JsonLine());
        while (left > 0 && await tap.Records.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            lines.Clear();
            while (left > 0 && lines.Length < WriteSize && tap.Records.TryRead(out var record))
            {
                format.Write(lines, record);
                left--;
            }

            if (tap.TakeDropped() is > 0 and var dropped)
            {
                lines.Add("{\"dropped\":"u8);
                lines.Add(dropped);
                lines.Add("}\n"u8);
            }

            await to.WriteAsync(lines.Memory, cancellationToken).ConfigureAwait(false);
            await to.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
