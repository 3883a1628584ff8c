using System.Buffers.Binary;
using System.Text;
using Signet.Proxy.Handover.Wire;
using Signet.Proxy.Http2;
using Signet.Proxy.Http2.Hpack;
using Signet.Proxy.L7;
using Signet.Proxy.ProxyProtocol;
using Signet.Proxy.Sniffing;
using Signet.Proxy.Telemetry;
using Signet.UnitTests.Proxy.Http2;
using Signet.UnitTests.Proxy.Sniffing;

namespace Signet.UnitTests.Proxy;

/// <summary>The most that a peer can make parsers take of the heap, by what is as large as it may be and made for that.</summary>
public sealed class ParserMemoryTests
{
    private const int KiB = 1024;

    /// <summary>What fills a head of HTTP/1 up to its limit, and the KiB that it may take.</summary>
    public static TheoryData<string, int> Heads => new()
    {
        { "one long value", 512 },
        { "as many fields as there may be", 512 },
        { "the shortest fields", 64 },
        { "connection", 1 * KiB },
        { "expect", 1 * KiB },
        { "te", 512 },
        { "transfer-encoding", 512 },
        { "upgrade", 512 },
    };

    [Theory]
    [MemberData(nameof(Heads))]
    public void A_head(string what, int atMost)
    {
        const int Room = HttpLimits.MaxHead - 50;
        var fields = what switch
        {
            "one long value" => $"X: {new string('v', Room)}\r\n",
            "as many fields as there may be" => string.Concat(Enumerable.Range(1, HttpLimits.MaxHeaders - 1).Select(i => $"x-{i:d2}: {new string('v', (Room / HttpLimits.MaxHeaders) - 8)}\r\n")),
            "the shortest fields" => string.Concat(Enumerable.Repeat("x:\r\n", Room / 4)),
            _ => $"{what}: {string.Concat(Enumerable.Repeat("a,", (Room / 2) - 20))}\r\n",
        };
        var request = Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        var response = Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{fields}\r\n");
        Assert.InRange(request.Length, HttpLimits.MaxHead - 1000, HttpLimits.MaxHead);

        Heap.TakesAtMost(atMost * KiB, () => Head(request));
        Heap.TakesAtMost(atMost * KiB, () => ResponseHead.TryParse(response, "GET", out _, out _));
    }

    [Fact]
    public void A_target()
    {
        foreach (var target in new[] { $"/{new string('a', HttpLimits.MaxHead - 100)}", $"http://a?{new string('a', HttpLimits.MaxHead - 100)}" })
        {
            var request = Encoding.ASCII.GetBytes($"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            Heap.TakesAtMost(KiB * KiB, () => Head(request));
        }
    }

    [Fact]
    public void A_chunked_body()
    {
        foreach (var text in new[]
        {
            "1;" + new string('e', 2 * HttpLimits.MaxChunkLine),
            string.Concat(Enumerable.Repeat("1;e\r\na\r\n", 100_000)),
            new string('0', 100_000),
            "0\r\nx: " + new string('y', 2 * HttpLimits.MaxTrailers),
            $"0\r\nx: {new string('y', HttpLimits.MaxTrailers - 10)}\r\n\r\n",
            $"0\r\n{string.Concat(Enumerable.Repeat("x:\r\n", HttpLimits.MaxTrailers / 5))}\r\n",
        })
        {
            var body = Encoding.ASCII.GetBytes(text);
            Heap.TakesAtMost(64 * KiB, () => Body(body));
        }
    }

    [Fact]
    public void A_block_of_HPACK()
    {
        var options = new Http2Options { Time = TimeProvider.System };
        var size = 2 * options.MaxHeaderList;
        byte[] longest = HpackBytes.Literal("x", new string('v', 4000), indexed: true);
        foreach (var (block, atMost) in ((byte[] Block, int KiB)[])[

            // An entry as large as the table, and thousands of references to it.
            ([.. longest, .. Enumerable.Repeat((byte)0xbe, size)], 64),

            // One literal, the shortest literals with and without a place in the table, and what Huffman makes longest.
            (HpackBytes.Literal("x", new string('v', size)), KiB),
            ([.. Enumerable.Repeat(HpackBytes.Literal("x", "v"), size / 5).SelectMany(literal => literal)], 4 * KiB),
            ([.. Enumerable.Repeat(HpackBytes.Literal("x", "v", indexed: true), size / 5).SelectMany(literal => literal)], 4 * KiB),
            (HpackBytes.Literal("x", new string('0', 8 * size / 5), huffman: true), 2 * KiB),
        ])
        {
            Heap.TakesAtMost(atMost * KiB, () => new HpackDecoder().TryDecode(block, new FieldSection(options.MaxHeaderList, options.MaxFields)));
        }
    }

    [Fact]
    public void A_ClientHello()
    {
        var names = new List<byte>();
        Hello.Extension(names, 16, Hello.Vector16([.. Enumerable.Repeat<byte[]>([1, (byte)'a'], 7000).SelectMany(name => name)]));
        foreach (var hello in new byte[][]
        {
            Hello.InRecords(Hello.Message([.. names]), 1),
            Hello.InRecords(Hello.Message([.. names]), 16_000),
            Hello.InRecords(Hello.Message(new byte[16_000]), 16_000),
            [.. Enumerable.Repeat<byte[]>([22, 3, 1, 0, 1, 1], 5000).SelectMany(record => record)],
        })
        {
            Heap.TakesAtMost(32 * KiB, () => TlsSniffer.Inspect(hello.AsSpan()));
            Heap.TakesAtMost(KiB, () => HttpSniffer.Inspect(hello));
        }
    }

    [Fact]
    public void A_PROXY_header()
    {
        byte[] start = [.. Convert.FromHexString("0D0A0D0A000D0A515549540A" + "21" + "11"), 0, 0, .. Convert.FromHexString("C0A80001C0A8000BDC0401BB")];
        BinaryPrimitives.WriteUInt16BigEndian(start.AsSpan(14), ProxyHeaderReader.MaxHeader - 16);
        foreach (var header in new byte[][]
        {
            [.. start, .. Enumerable.Repeat<byte[]>([4, 0, 0], 2000).SelectMany(field => field)],
            [.. start, .. Enumerable.Repeat<byte[]>([0xe0, 0, 1, 1], 2000).SelectMany(field => field)],
            Encoding.ASCII.GetBytes("PROXY " + new string(' ', 100_000)),
            Encoding.ASCII.GetBytes($"PROXY UNKNOWN{new string(' ', 92)}\r\n"),
        })
        {
            Heap.TakesAtMost(256 * KiB, () => ProxyHeaderReader.Read(header));
        }
    }

    [Fact]
    public void Words_of_another_process_at_a_handover()
    {
        byte[] refusal = new HandoverFrame.Refusal(new string('r', HandoverFrame.MaxBody)).Write();
        Heap.TakesAtMost(16 * KiB, () => HandoverFrame.TryRead(refusal, out _, out _));
    }

    [Fact]
    public void A_state_of_a_trace()
    {
        foreach (var state in new[] { new string(',', HttpLimits.MaxHead), string.Concat(Enumerable.Repeat("a,", HttpLimits.MaxHead / 2)), string.Concat(Enumerable.Range(0, 10_000).Select(i => $"a{i}=b,")) })
        {
            Heap.TakesAtMost(32 * KiB, () => TraceContext.IsState(state));
        }
    }

    private static void Head(byte[] bytes)
    {
        var scanner = default(HeadScanner);
        Assert.True(scanner.TryFindEnd(bytes, out var length, out _));
        RequestHead.TryParse(bytes.AsSpan(0, length), out _, out _);
    }

    private static void Body(byte[] bytes)
    {
        var (decoder, taken) = (new BodyDecoder(BodyFraming.Chunked), 0);
        while (decoder.Next(bytes.AsSpan(taken)) is { Kind: BodyStepKind.Payload } step)
        {
            taken += step.Skip + step.Length;
        }
    }
}
