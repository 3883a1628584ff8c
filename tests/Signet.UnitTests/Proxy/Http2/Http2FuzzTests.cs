using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>Whatever arrives, in whatever pieces: the connection goes on or ends with a reason, and never keeps anything behind.</summary>
public sealed class Http2FuzzTests
{
    private static readonly Gen<byte[]> Payloads =
        from length in Gen.OneOf(Gen.Choose(0, 12), Gen.Choose(0, 300))
        from octets in Gen.ArrayOf(Gen.Choose(0, 255), length)
        select octets.Select(octet => (byte)octet).ToArray();

    private static readonly byte[] Request = HpackBytes.Literal(":method", "POST")
        .Concat(HpackBytes.Literal(":scheme", "https")).Concat(HpackBytes.Literal(":authority", "a")).Concat(HpackBytes.Literal(":path", "/")).ToArray();

    private static readonly Gen<byte[]> Frames =
        from type in Gen.OneOf(Gen.Choose(0, 9), Gen.Choose(0, 11))
        from flags in Gen.Elements(0, 1, 4, 5, 8, 13, 255)
        from id in Gen.Elements(0, 1, 3, 5, 7, 2, int.MaxValue)
        from payload in Gen.OneOf(Payloads, Gen.Elements(Request, [0, 0, 0, 8], [0, 0, 0, 0, 0, 0, 0, 0], [0, 4, 0, 0, 0, 50]))
        select Frame((FrameType)type, (FrameFlags)flags, id, payload);

    [Fact]
    public void A_server_survives_any_frames() => Prop.ForAll(
        Arb.From(from count in Gen.Choose(1, 30) from frames in Gen.ArrayOf(Frames, count) select frames),
        frames => Feed(isServer: true, frames)).QuickCheckThrowOnFailure();

    [Fact]
    public void A_client_survives_any_frames() => Prop.ForAll(
        Arb.From(from count in Gen.Choose(1, 30) from frames in Gen.ArrayOf(Frames, count) select frames),
        frames => Feed(isServer: false, frames)).QuickCheckThrowOnFailure();

    [Fact]
    public void A_server_survives_any_octets() => Prop.ForAll(
        Arb.From(from count in Gen.Choose(1, 5) from pieces in Gen.ArrayOf(Payloads, count) select pieces),
        pieces => Feed(isServer: true, pieces)).QuickCheckThrowOnFailure();

    private static void Feed(bool isServer, byte[][] pieces)
    {
        var run = FeedAsync(isServer, pieces);
        Assert.True(run.Wait(TimeSpan.FromSeconds(30)), "the connection never ended");
    }

    private static async Task FeedAsync(bool isServer, byte[][] pieces)
    {
        var (near, far) = MemoryTransport.Pair(1 << 20);
        var options = new Http2Options { Time = new ManualTimeProvider() };
        var connection = isServer ? Http2Connection.AsServer(far, options, Http2Pair.EchoAsync) : Http2Connection.AsClient(far, options);
        var end = connection.RunAsync(CancellationToken.None);
        var streams = new List<Http2Stream>();
        for (var i = 0; i < 3 && !isServer; i++)
        {
            Assert.True(connection.TryOpen(Http2Pair.Post(), endStream: i == 2, out var stream, out _));
            streams.Add(stream!);
        }

        var reads = streams.Select(stream => Record(Http2Pair.ReadAllAsync(stream))).ToList();
        try
        {
            await near.WriteAsync(isServer ? FrameHeader.Preface.ToArray() : [], CancellationToken.None);
            await near.WriteAsync(Frame(FrameType.Settings, 0, 0, []), CancellationToken.None);
            foreach (var piece in pieces)
            {
                await near.WriteAsync(piece, CancellationToken.None);
            }
        }
        catch (IOException)
        {
            // It had enough.
        }

        await near.DisposeAsync();
        Assert.NotEmpty((await end).Reason);
        await Task.WhenAll(reads);
        Assert.Equal(0, connection.OpenStreams);
    }

    private static async Task Record(Task read)
    {
        try
        {
            await read;
        }
        catch (IOException)
        {
            // Broken is an answer.
        }
    }

    private static byte[] Frame(FrameType type, FrameFlags flags, int streamId, byte[] payload)
    {
        var bytes = new byte[FrameHeader.Size + payload.Length];
        new FrameHeader(payload.Length, type, flags, streamId).Write(bytes);
        payload.CopyTo(bytes, FrameHeader.Size);
        return bytes;
    }
}
