using Signet.Proxy.Http2;
using Signet.Proxy.Http2.Hpack;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>
/// Frames and header blocks that are kept, and what becomes of them when some of their octets are changed: a connection ends with a reason or goes on, and keeps nothing behind;
/// what was decoded of a block is what comes out once it was encoded again.
/// </summary>
public sealed class Http2CorpusTests
{
    /// <summary>Types, flags, lengths, stream numbers, and where HPACK's integers and representations begin anew.</summary>
    private static readonly byte[] Marks = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0f, 0x10, 0x1f, 0x20, 0x24, 0x3f, 0x40, 0x7f, 0x80, 0x82, 0xbe, 0xbf, 0xfe, 0xff];

    private static readonly Corpus Frames = Of("frames.hex", Connection);
    private static readonly Corpus Blocks = Of("blocks.hex", Block);

    [Fact]
    public void Ends_or_goes_on_as_it_always_did() => Frames.Replay();

    [Fact]
    public void Decodes_each_block_as_it_always_did() => Blocks.Replay();

    [Fact]
    public void Whatever_becomes_of_frames_the_connection_ends_with_a_reason_or_goes_on()
    {
        var (accepted, all) = Frames.Fuzz(changesOfEach: 30);
        Assert.InRange(accepted, 100, all - 100);
    }

    [Fact]
    public void Whatever_becomes_of_a_block_what_is_decoded_means_one_thing()
    {
        var (accepted, all) = Blocks.Fuzz(changesOfEach: 400);
        Assert.InRange(accepted, 100, all - 100);
    }

    [Fact(Explicit = true), Trait("Category", "Soak")]
    public void Whatever_else_becomes_of_frames_the_connection_ends_with_a_reason_or_goes_on() => Frames.Explore(TimeSpan.FromMinutes(1));

    [Fact(Explicit = true), Trait("Category", "Soak")]
    public void Whatever_else_becomes_of_a_block_means_one_thing_too() => Blocks.Explore(TimeSpan.FromMinutes(1));

    private static Corpus Of(string file, Func<byte[], string> judge) => new(judge, Marks, "tests", "Signet.UnitTests", "Proxy", "Http2", "corpus", file);

    /// <summary>At once and in two pieces. What a stream's end is answered with may depend on which came first, so only the first verdict is kept.</summary>
    private static string Connection(byte[] frames)
    {
        var (whole, pieces) = (ConnectionAsync(frames), ConnectionAsync(frames[..(frames.Length / 2)], frames[(frames.Length / 2)..]));
        Assert.True(Task.WhenAll(whole, pieces).Wait(TimeSpan.FromSeconds(30)), "a connection never ended");
        return whole.Result;
    }

    private static async Task<string> ConnectionAsync(params byte[][] pieces)
    {
        var (near, far) = MemoryTransport.Pair(1 << 20);
        var connection = Http2Connection.AsServer(far, new Http2Options { Time = new ManualTimeProvider() }, Http2Pair.EchoAsync);
        var running = connection.RunAsync(CancellationToken.None);
        try
        {
            await near.WriteAsync(FrameHeader.Preface.ToArray(), CancellationToken.None);
            await near.WriteAsync(new byte[] { 0, 0, 0, (byte)FrameType.Settings, 0, 0, 0, 0, 0 }, CancellationToken.None);
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
        var end = await running;
        Assert.NotEmpty(end.Reason);
        Assert.Equal(0, connection.OpenStreams);
        return end.IsBreach ? end.Code.ToString() : "ok";
    }

    private static string Block(byte[] block)
    {
        var (problem, fields) = HpackBytes.Decode(block);
        var small = new FieldSection(maxSize: 100, maxFields: 2);
        Assert.Equal(problem, new HpackDecoder().TryDecode(block, small));
        Heap.TakesAtMost(4096 + (32 * block.Length), () => new HpackDecoder().TryDecode(block, new FieldSection(maxSize: 64 * 1024, maxFields: 128)));
        Assert.InRange(small.Fields.Sum(field => field.Key.Length + field.Value.Length + 32), 0, 100);
        Assert.Equal(fields.Take(small.Fields.Count), small.Fields.Select(field => (field.Key, field.Value)));
        if (problem != HpackProblem.None)
        {
            return problem.ToString();
        }

        var again = HpackBytes.Decode(HpackBytes.Encode(fields));
        Assert.Equal(HpackProblem.None, again.Problem);
        Assert.Equal(fields, again.Fields);
        return "ok";
    }
}
