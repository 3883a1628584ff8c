using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

public sealed class BodyDecoderTests
{
    private const string Chunked = "5\r\nhello\r\n1;ext=\"v\"\r\n \r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\nx-b:  2 \r\n\r\n";

    [Fact]
    public void Gives_the_same_payload_and_trailers_however_the_chunks_arrive()
    {
        var bytes = Encoding.Latin1.GetBytes(Chunked + "GET /next");
        for (var step = 1; step <= bytes.Length; step++)
        {
            var (payload, taken, problem, decoder) = Run(BodyFraming.Chunked, bytes, step);

            Assert.Null(problem);
            Assert.Equal("hello 0123456789", payload);
            Assert.Equal(Chunked.Length, taken);
            Assert.Equal(["X-Sum=1", "x-b=2"], decoder.Trailers.Select(t => $"{t.Key}={t.Value}"));
        }
    }

    [Fact]
    public void Takes_exactly_the_announced_length()
    {
        var (payload, taken, _, decoder) = Run(new BodyFraming(BodyKind.Length, 5), "helloGET /"u8.ToArray(), 3);

        Assert.Equal(("hello", 5, true), (payload, taken, decoder.IsComplete));
    }

    [Fact]
    public void Has_nothing_to_take_when_there_is_no_body()
    {
        var (payload, taken, _, decoder) = Run(BodyFraming.None, "GET /"u8.ToArray(), 5);

        Assert.Equal(("", 0, true), (payload, taken, decoder.IsComplete));
    }

    [Fact]
    public void Is_not_complete_before_the_last_chunk()
    {
        var (_, _, _, decoder) = Run(BodyFraming.Chunked, "5\r\nhello\r\n0\r\n\r"u8.ToArray(), 100);

        Assert.False(decoder.IsComplete);
        Assert.False(decoder.EndsAtClose);
        Assert.True(new BodyDecoder(BodyFraming.UntilClose).EndsAtClose);
    }

    [Theory]
    [InlineData("5\nhello\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("5\r\nhelloX\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("5\r\nhello\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData(" 5\r\nhello\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("5 \r\nhello\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("5 ;x\r\nhello\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("0x5\r\nhello\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("+5\r\nhello\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("-1\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("\r\n", HttpProblem.ChunkMalformed)]
    [InlineData(";x\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("FFFFFFFFFFFFFFFF\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("5;a\rb\r\nhello\r\n0\r\n\r\n", HttpProblem.ChunkMalformed)]
    [InlineData("0\r\nX: y\n\r\n", HttpProblem.BareLineFeed)]
    [InlineData("0\r\nX : y\r\n\r\n", HttpProblem.HeaderNameMalformed)]
    [InlineData("0\r\nContent-Length: 5\r\n\r\n", HttpProblem.TrailerForbidden)]
    [InlineData("0\r\nx-forwarded-client-cert: By=x\r\n\r\n", HttpProblem.TrailerForbidden)]
    [InlineData("0\r\nx_forwarded_client_cert: By=x\r\n\r\n", HttpProblem.TrailerForbidden)]
    [InlineData("0\r\nAuthorization: x\r\n\r\n", HttpProblem.TrailerForbidden)]
    public void Refuses_chunks_that_two_readers_could_read_differently(string text, HttpProblem expected)
    {
        for (var step = 1; step <= text.Length; step++)
        {
            Assert.Equal(expected, Run(BodyFraming.Chunked, Encoding.Latin1.GetBytes(text), step).Problem);
        }
    }

    [Fact]
    public void Refuses_chunk_lines_and_trailers_beyond_their_limits()
    {
        Assert.Equal(HttpProblem.ChunkMalformed, Run(BodyFraming.Chunked, Encoding.Latin1.GetBytes("5;" + new string('x', 300)), 10).Problem);
        Assert.Equal(HttpProblem.TrailersTooLarge, Run(BodyFraming.Chunked, Encoding.Latin1.GetBytes("0\r\nx: " + new string('y', HttpLimits.MaxTrailers)), 1000).Problem);

        // Whether they come in pieces or at once.
        var whole = Encoding.Latin1.GetBytes($"0\r\nx: {new string('y', HttpLimits.MaxTrailers)}\r\n\r\n");
        Assert.Equal(HttpProblem.TrailersTooLarge, Run(BodyFraming.Chunked, whole, 1000).Problem);
        Assert.Equal(HttpProblem.TrailersTooLarge, Run(BodyFraming.Chunked, whole, whole.Length).Problem);
    }

    [Fact]
    public void Undoes_any_chunking()
    {
        var bodies = from chunks in Gen.Choose(1, 300).ArrayOf() from step in Gen.Choose(1, 97) select (chunks, step);
        Prop.ForAll(bodies.ToArbitrary(), body =>
        {
            var expected = new StringBuilder();
            var wire = new StringBuilder();
            foreach (var length in body.chunks)
            {
                var data = new string((char)('a' + (length % 26)), length);
                expected.Append(data);
                wire.Append($"{length:X}\r\n{data}\r\n");
            }

            var (payload, taken, problem, _) = Run(BodyFraming.Chunked, Encoding.Latin1.GetBytes(wire + "0\r\n\r\n"), body.step);
            return problem is null && payload == expected.ToString() && taken == wire.Length + 5;
        }).QuickCheckThrowOnFailure();
    }

    /// <summary>Shows the decoder what has arrived, a step at a time, as a connection would.</summary>
    private static (string Payload, int Taken, HttpProblem? Problem, BodyDecoder Decoder) Run(BodyFraming framing, byte[] wire, int step)
    {
        var decoder = new BodyDecoder(framing);
        var payload = new StringBuilder();
        var (taken, received) = (0, 0);
        while (true)
        {
            var next = decoder.Next(wire.AsSpan(taken, received - taken));
            taken += next.Skip;
            switch (next.Kind)
            {
                case BodyStepKind.Payload:
                    payload.Append(Encoding.Latin1.GetString(wire, taken, next.Length));
                    taken += next.Length;
                    break;
                case BodyStepKind.Malformed:
                    return (payload.ToString(), taken, next.Problem, decoder);
                case BodyStepKind.End:
                    return (payload.ToString(), taken, null, decoder);
                default:
                    if (received == wire.Length)
                    {
                        return (payload.ToString(), taken, null, decoder);
                    }

                    received = Math.Min(wire.Length, received + step);
                    break;
            }
        }
    }
}
