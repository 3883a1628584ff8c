using System.IO.Pipelines;
using Grpc.Core;

namespace Signet.Rpc.Protocol;

/// <summary>Messages off a byte stream, one after the other. One reader at a time.</summary>
internal static class FrameReader
{
    /// <summary>Waits for the next message, of at most so many bytes; null at the end of the stream.</summary>
    /// <exception cref="RpcException">The stream is not one of messages, or a message is too long.</exception>
    public static async ValueTask<T?> ReadAsync<T>(
        PipeReader input, Marshaller<T> marshaller, int maxLength, CancellationToken cancellationToken)
        where T : class
    {
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var rest = read.Buffer;
            if (Frame.TryTake(ref rest, maxLength, out var bytes))
            {
                var message = Frame.Parse(marshaller, bytes);
                input.AdvanceTo(rest.Start);
                return message;
            }

            // Naming everything as examined is what makes the transport ask the peer for more, whatever a message's length.
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted)
            {
                return read.Buffer.IsEmpty ? null : throw new RpcException(new Status(StatusCode.Internal, "the peer's stream ended inside a message"));
            }
        }
    }
}
