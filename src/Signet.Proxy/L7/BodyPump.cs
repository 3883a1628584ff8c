using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>How moving a body ended, and whose fault it is if it did not end well.</summary>
internal enum PumpEnd
{
    Complete,
    SourceBroken,
    SourceMalformed,
    SinkBroken,
}

internal readonly record struct PumpResult(PumpEnd End, HttpProblem Problem, string Detail)
{
    public static PumpResult Complete => new(PumpEnd.Complete, default, "");
}

/// <summary>Moves one body from a reader to a writer, taking its framing off and putting the writer's on.</summary>
internal static class BodyPump
{
    /// <param name="from">Where the body is read; exactly the body is taken from it.</param>
    /// <param name="decoder">How it is framed there.</param>
    /// <param name="to">Where it goes; it may still hold the message's head.</param>
    /// <param name="asChunks">Whether it is chunked there; otherwise it is delimited by length or by the connection's end.</param>
    /// <param name="withTrailers">Whether trailers go on; those of requests do not, since no policy judged them (RFC 9110 §6.5.1 allows it).</param>
    /// <param name="moved">Called with the number of bytes, for idle deadlines and counters.</param>
    /// <param name="cancellationToken">Ends the pump with an exception; both sides are then in doubt.</param>
    public static async Task<PumpResult> RunAsync(
        BufferedTransport from, BodyDecoder decoder, OutputBuffer to, bool asChunks, bool withTrailers, Action<int> moved, CancellationToken cancellationToken)
    {
        while (true)
        {
            var step = decoder.Next(from.Available.Span);
            from.Consume(step.Skip);
            try
            {
                switch (step.Kind)
                {
                    case BodyStepKind.Payload:
                        // Taken before it is sent: whatever becomes of the writing, these bytes must never be read as the next message.
                        var payload = from.Available[..step.Length];
                        from.Consume(step.Length);
                        await to.WritePayloadAsync(payload, asChunks, cancellationToken).ConfigureAwait(false);
                        moved(step.Length);
                        continue;

                    case BodyStepKind.Malformed:
                        return new(PumpEnd.SourceMalformed, step.Problem, "");

                    case BodyStepKind.End:
                        return await EndAsync(withTrailers ? decoder.Trailers : [], to, asChunks, cancellationToken).ConfigureAwait(false);

                    default:
                        await to.FlushAsync(cancellationToken).ConfigureAwait(false);
                        break;
                }
            }
            catch (IOException e)
            {
                return new(PumpEnd.SinkBroken, default, e.Message);
            }

            try
            {
                if (!await from.ReadMoreAsync(HttpLimits.BodyBuffer, cancellationToken).ConfigureAwait(false))
                {
                    return decoder.EndsAtClose
                        ? await EndAsync(withTrailers ? decoder.Trailers : [], to, asChunks, cancellationToken).ConfigureAwait(false)
                        : new(PumpEnd.SourceMalformed, HttpProblem.BodyCutShort, "");
                }
            }
            catch (IOException e)
            {
                return new(PumpEnd.SourceBroken, default, e.Message);
            }
        }
    }

    private static async Task<PumpResult> EndAsync(IReadOnlyList<KeyValuePair<string, string>> trailers, OutputBuffer to, bool asChunks, CancellationToken cancellationToken)
    {
        try
        {
            if (asChunks)
            {
                await to.WriteLastChunkAsync(trailers, cancellationToken).ConfigureAwait(false);
            }

            await to.FlushAsync(cancellationToken).ConfigureAwait(false);
            return PumpResult.Complete;
        }
        catch (IOException e)
        {
            return new(PumpEnd.SinkBroken, default, e.Message);
        }
    }
}
