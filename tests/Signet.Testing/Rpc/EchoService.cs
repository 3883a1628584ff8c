using Google.Protobuf;
using Grpc.Core;
using Behaviour = Signet.Testing.Rpc.EchoRequest.Types.Behaviour;

namespace Signet.Testing.Rpc;

/// <summary>Does what each request asks, and remembers what a test wants to know.</summary>
public sealed class EchoService : Echo.EchoBase
{
    private readonly TaskCompletionSource<string> _cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly TaskCompletionSource _hanging = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The text thrown by <c>THROW</c>: no client may ever see it.</summary>
    public const string Secret = "the-secret-inside";

    /// <summary>The message of <c>REFUSE</c>.</summary>
    public const string Refusal = "nö 100% way\nat all 🙅";

    /// <summary>The bytes that <c>REFUSE</c> puts in the trailer <c>detail-bin</c>.</summary>
    public static readonly byte[] RefusalDetail = [1, 2, 255, 0];

    /// <summary>Ends with the text of the first request whose call was cancelled.</summary>
    public Task<string> Cancelled => _cancelled.Task;

    /// <summary>Ends when a <c>HANG</c> or <c>STUBBORN</c> call has begun to wait.</summary>
    public Task Hanging => _hanging.Task;

    /// <summary>Lets <c>STUBBORN</c> calls go.</summary>
    public TaskCompletionSource LetGo { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override async Task<EchoReply> Unary(EchoRequest request, ServerCallContext context)
    {
        if (request.Behaviour == Behaviour.HeadersFirst)
        {
            await context.WriteResponseHeadersAsync(new Metadata { { "x-early", "yes" }, { "early-bin", [7, 8] } });
        }

        await BehaveAsync(request, context);
        context.ResponseTrailers.Add("x-trailer", "last");
        var reply = new EchoReply { Text = request.Text, Payload = request.Payload };
        if (request.Behaviour == Behaviour.Big)
        {
            reply.Payload = UnsafeByteOperations.UnsafeWrap(new byte[request.Count]);
        }

        foreach (var header in context.RequestHeaders)
        {
            reply.Headers[header.Key] = header.IsBinary ? Convert.ToHexString(header.ValueBytes) : header.Value;
        }

        return reply;
    }

    public override async Task<EchoReply> Collect(IAsyncStreamReader<EchoRequest> requestStream, ServerCallContext context)
    {
        var reply = new EchoReply();
        long bytes = 0;
        await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            await BehaveAsync(request, context);
            reply.Count++;
            bytes += request.Payload.Length;
        }

        reply.Text = bytes.ToString(System.Globalization.CultureInfo.InvariantCulture);
        return reply;
    }

    public override async Task Repeat(EchoRequest request, IServerStreamWriter<EchoReply> responseStream, ServerCallContext context)
    {
        for (var i = 0; i < request.Count; i++)
        {
            await responseStream.WriteAsync(new EchoReply { Text = request.Text, Payload = request.Payload, Count = i });
        }

        await BehaveAsync(request, context);
    }

    public override async Task Chat(
        IAsyncStreamReader<EchoRequest> requestStream, IServerStreamWriter<EchoReply> responseStream, ServerCallContext context)
    {
        var last = new EchoRequest();
        try
        {
            var count = 0;
            await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
            {
                last = request;
                await BehaveAsync(request, context);
                await responseStream.WriteAsync(new EchoReply { Text = request.Text, Payload = request.Payload, Count = count++ });
            }
        }
        catch (OperationCanceledException)
        {
            _cancelled.TrySetResult(last.Text);
            throw;
        }
    }

    private async Task BehaveAsync(EchoRequest request, ServerCallContext context)
    {
        switch (request.Behaviour)
        {
            case Behaviour.Refuse:
                throw new RpcException(
                    new Status(StatusCode.PermissionDenied, Refusal), new Metadata { { "x-why", "policy" }, { "detail-bin", RefusalDetail } });
            case Behaviour.Throw:
                throw new InvalidOperationException(Secret);
            case Behaviour.Hang:
                _hanging.TrySetResult();
                await UntilCancelledAsync(request, context.CancellationToken);
                break;
            case Behaviour.Stubborn:
                _hanging.TrySetResult();
                await LetGo.Task;
                break;
        }
    }

    private async Task UntilCancelledAsync(EchoRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _cancelled.TrySetResult(request.Text);
            throw;
        }
    }
}
