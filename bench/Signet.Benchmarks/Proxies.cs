using Signet.Benchmarks.Peers;

namespace Signet.Benchmarks;

/// <summary>What connections, requests and bytes cost through two proxies, Signet's and others.</summary>
internal static class Proxies
{
    private const int KeptConnections = 64;
    private const int NewConnections = 16;
    private const int BulkConnections = 8;
    private const int Rate = 2000;
    private const int Http2Connections = 8;
    private const int Http2Streams = 16;

    /// <summary>Small requests on connections that stay open, moved as bytes.</summary>
    public static Task TcpAsync(BenchContext context) =>
        ContestAsync(Contest.OfRequests(), pair => pair.TcpPort, LoadShape.Kept(KeptConnections), context, SignetSessions.Shared, SignetSessions.Resumed);

    /// <summary>Small requests on connections that stay open, each read, judged and logged.</summary>
    public static Task HttpAsync(BenchContext context) => ContestAsync(Contest.OfRequests(), pair => pair.HttpPort, LoadShape.Kept(KeptConnections), context, SignetSessions.Shared);

    /// <summary>Small requests as streams of HTTP/2, on every leg.</summary>
    public static Task Http2Async(BenchContext context) =>
        ContestAsync(Contest.OfStreams("requests/s"), pair => pair.Http2Port, LoadShape.Http2(Http2Connections, Http2Streams), context, SignetSessions.Shared);

    /// <summary>Unary calls by gRPC.</summary>
    public static Task GrpcAsync(BenchContext context) =>
        ContestAsync(Contest.OfStreams("calls/s"), pair => pair.Http2Port, LoadShape.Grpc(Http2Connections, Http2Streams), context, SignetSessions.Shared);

    /// <summary>The time that requests take when they come at a rate that leaves all proxies time to rest.</summary>
    public static Task LatencyAsync(BenchContext context) =>
        ContestAsync(Contest.OfRequests(), pair => pair.HttpPort, LoadShape.AtRate(Rate, KeptConnections), context, SignetSessions.Shared);

    /// <summary>Long bodies, moved as bytes.</summary>
    public static Task BulkAsync(BenchContext context) =>
        ContestAsync(Contest.OfBytes(), pair => pair.TcpPort, LoadShape.Bulk(BulkConnections), context, SignetSessions.Shared, SignetSessions.Resumed);

    /// <summary>A connection for each request: with a full handshake, with a resumed one, and, Signet's only, in a session that is there.</summary>
    public static async Task ConnectionsAsync(BenchContext context)
    {
        await using var field = await Field.StartAsync(context, SignetSessions.Shared, SignetSessions.Resumed, SignetSessions.Full);
        var (shared, resumed, full) = (field.Signets[0], field.Signets[1], field.Signets[2]);
        var shape = LoadShape.New(NewConnections);
        var (fullContest, resumedContest, sharedContest) = (Contest.OfRequests("connections/s"), Contest.OfRequests("connections/s"), Contest.OfRequests("connections/s"));
        fullContest.Add(full.Name, full, full.TcpPort, shape);
        resumedContest.Add(resumed.Name, resumed, resumed.TcpPort, shape);
        sharedContest.Add(shared.Name, shared, shared.TcpPort, shape);
        foreach (var peer in field.Peers)
        {
            fullContest.Add(peer.Name, peer, peer.TcpPort, shape);
            resumedContest.Add(peer.Name, peer, peer.ResumingPort, shape);
            sharedContest.Add(peer.Name + ", resuming", peer, peer.ResumingPort, shape);
        }

        await ShowAsync($"Full handshakes, {NewConnections} connections at once", fullContest, field, context);
        await ShowAsync($"Resumed handshakes, {NewConnections} connections at once", resumedContest, field, context);
        await ShowAsync($"Signet's connections in a session that is there, the others' with resumed handshakes, {NewConnections} at once", sharedContest, field, context);

        context.Out.WriteLine();
        await Task.Delay(TimeSpan.FromSeconds(1.5), context.Cancellation); // nginx writes its log once a second
        context.Out.WriteLine($"Resumed handshakes of Signet's inbound proxies: {await resumed.ResumedShareAsync(context.Cancellation):0%} without a tunnel, {await full.ResumedShareAsync(context.Cancellation):0%} with resumption off.");
        foreach (var peer in field.Peers.Where(peer => peer.WritesLog))
        {
            var (resuming, none) = peer.ResumedShares();
            context.Out.WriteLine($"{peer.Name} resumed {resuming:0%} of the handshakes in the resumed rows and {none:0%} in the full ones.");
        }
    }

    private static async Task ContestAsync(Contest contest, Func<ProxyPair, int> port, LoadShape shape, BenchContext context, params SignetSessions[] signets)
    {
        await using var field = await Field.StartAsync(context, signets);
        contest.Add("no proxy", null, shape.Streams is null ? field.Tools.BackendPort : field.Tools.Http2BackendPort, shape);
        foreach (var pair in field.Signets.Concat<ProxyPair>(field.Peers))
        {
            contest.Add(pair.Name, pair, port(pair), shape);
        }

        await ShowAsync($"{shape.Connections} connections, {shape.Word}{(shape.Streams is { } streams ? $", {streams} streams on each" : "")}", contest, field, context);
        context.Out.WriteLine($"{await field.DroppedLinesAsync(context.Cancellation):0} lines of Signet's access logs were dropped.");
    }

    private static async Task ShowAsync(string title, Contest contest, Field field, BenchContext context)
    {
        await contest.RunAsync(field.Tools, context);
        context.Out.WriteLine();
        context.Out.WriteLine(title);
        contest.WriteTo(context.Out);
    }
}
