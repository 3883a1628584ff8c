using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Signet.Proxy.Http2;

namespace Signet.FunctionalTests.Proxy;

/// <summary>
/// An application of HTTP/2 that trusts its proxy, answers every request with 200 once it is whole, and reports exactly what arrived: each message's
/// fields in order, its body, its trailers, and how it ended.
/// </summary>
internal sealed class Http2Recorder : IAsyncDisposable
{
    private readonly App _app;

    public Http2Recorder() => _app = App.Serving(async (stream, _) =>
    {
        await using var wire = await Http2Wire.ServerAsync(stream);
        var open = new Dictionary<int, StringBuilder>();
        while (true)
        {
            var frame = await wire.AnyAsync();
            var id = frame.Header.StreamId;
            switch (frame.Header.Type)
            {
                case FrameType.Headers:
                    var text = open.TryGetValue(id, out var begun) ? begun.Append("trailers ") : open[id] = new StringBuilder();
                    text.AppendJoin('\n', frame.Fields.Select(field => $"{field.Key}: {field.Value}")).Append('\n');
                    break;
                case FrameType.Data:
                    open[id].Append($"[{Encoding.Latin1.GetString(frame.Payload)}]");
                    break;
                case FrameType.ResetStream when open.Remove(id, out var broken):
                    Arrived.Enqueue($"{broken}RST_STREAM");
                    continue;
                default:
                    continue;
            }

            if (frame.Header.Has(FrameFlags.EndStream))
            {
                open.Remove(id, out var whole);
                Arrived.Enqueue(whole!.ToString());
                await wire.RequestAsync(id, true, (":status", "200"));
            }
        }
    });

    public IPEndPoint EndPoint => _app.EndPoint;

    /// <summary>What arrived and ended, well or not.</summary>
    public ConcurrentQueue<string> Arrived { get; } = new();

    /// <summary>All of it, which is then forgotten.</summary>
    public IReadOnlyList<string> TakeAll()
    {
        var all = new List<string>();
        while (Arrived.TryDequeue(out var one))
        {
            all.Add(one);
        }

        return all;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
