using Grpc.Core;
using Signet.Rpc.Protocol;

namespace Signet.Hosting.Grpc.Calls;

/// <summary>The requests of a call as they arrive.</summary>
internal sealed class RequestStream<T>(HttpServerCallContext context, Marshaller<T> marshaller, int maxLength) : IAsyncStreamReader<T>
    where T : class
{
    private T? _current;

    public T Current => _current ?? throw new InvalidOperationException("there is no current request; MoveNext comes first");

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        using var either = context.Either(cancellationToken);
        try
        {
            _current = await FrameReader.ReadAsync(context.Http.Request.BodyReader, marshaller, maxLength, either.Token);
            return _current is not null;
        }
        catch (IOException e)
        {
            throw new OperationCanceledException("the caller's stream broke", e);
        }
    }

    /// <summary>The request of a call that has one: the stream must end after it.</summary>
    public async Task<T> ReadOnlyAsync()
    {
        if (!await MoveNext(CancellationToken.None))
        {
            throw new RpcException(new Status(StatusCode.Internal, "the call has no request"));
        }

        var only = Current;
        return await MoveNext(CancellationToken.None)
            ? throw new RpcException(new Status(StatusCode.Internal, "the call has more than one request"))
            : only;
    }
}
