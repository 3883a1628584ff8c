using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.L7;

/// <summary>How moving a body ended, and whose fault it is if it did not end well.</summary>
internal enum PumpEnd
{
    Complete,
    SourceBroken,
    SourceMalformed,
    SinkBroken,
}

/// <param name="End">How.</param>
/// <param name="Problem">What is wrong with a malformed one.</param>
/// <param name="Detail">For the operator.</param>
/// <param name="Code">What the broken side said, where its version has codes.</param>
/// <param name="IsBreach">Whether the broken side broke a rule.</param>
internal readonly record struct PumpResult(PumpEnd End, HttpProblem Problem = default, string Detail = "", Http2Error Code = Http2Error.InternalError, bool IsBreach = false)
{
    public static PumpResult Complete => new(PumpEnd.Complete);

    public static PumpResult Broken(PumpEnd end, IOException e) =>
        e is Http2StreamException stream ? new(end, default, e.Message, stream.Code, stream.IsBreach) : new(end, default, e.Message);
}

/// <summary>Counts the payload of one direction, for the log and for idle deadlines.</summary>
internal readonly struct BodyCounter(AccessRecord record, LiveConnection live, bool isRequest)
{
    public void Add(int bytes)
    {
        if (isRequest)
        {
            record.BytesReceived += bytes;
            live.CountReceived(bytes);
        }
        else
        {
            record.BytesSent += bytes;
            live.CountSent(bytes);
        }
    }
}

/// <summary>Moves one body from a reader to a writer.</summary>
internal static class BodyPump
{
    /// <param name="from">Where the body is read; exactly the body is taken from it.</param>
    /// <param name="to">Where it goes; it may still hold the message's head.</param>
    /// <param name="withTrailers">Whether trailers go on; those of requests do not, since no policy judged them (RFC 9110 §6.5.1 allows it).</param>
    /// <param name="counter">Told what was moved.</param>
    /// <param name="cancellationToken">Ends the pump with an exception; both sides are then in doubt.</param>
    public static async ValueTask<PumpResult> RunAsync(IBodySource from, IBodySink to, bool withTrailers, BodyCounter counter, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Payload is taken before it is sent: whatever becomes of the writing, these bytes must never be read as the next message.
            var step = from.Next(out var payload, out var problem);
            try
            {
                switch (step)
                {
                    case BodyStepKind.Payload:
                        await to.WriteAsync(payload, cancellationToken).ConfigureAwait(false);
                        counter.Add(payload.Length);
                        continue;

                    case BodyStepKind.Malformed:
                        return new(PumpEnd.SourceMalformed, problem);

                    case BodyStepKind.End:
                        await to.EndAsync(withTrailers ? from.Trailers : [], cancellationToken).ConfigureAwait(false);
                        return PumpResult.Complete;

                    default:
                        await to.FlushAsync(cancellationToken).ConfigureAwait(false);
                        break;
                }
            }
            catch (IOException e)
            {
                return PumpResult.Broken(PumpEnd.SinkBroken, e);
            }

            try
            {
                await from.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                return PumpResult.Broken(PumpEnd.SourceBroken, e);
            }
        }
    }
}
