using Grpc.Core;
using Signet.Rpc.Protocol;

namespace Signet.Hosting.Grpc.Calls;

/// <summary>The responses of a call.</summary>
internal sealed class ResponseStream<T>(HttpServerCallContext context, Marshaller<T> marshaller, int maxLength) : IServerStreamWriter<T>
    where T : class
{
    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        using var frame = FrameBuffer.Of(marshaller, message, maxLength);
        await context.SendAsync(frame.Bytes, cancellationToken);
    }
}
