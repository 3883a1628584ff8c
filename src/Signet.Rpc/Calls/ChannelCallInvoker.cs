using Grpc.Core;

namespace Signet.Rpc.Calls;

/// <summary>Makes the calls of a channel.</summary>
internal sealed class ChannelCallInvoker(CallTarget target) : CallInvoker
{
    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        using var call = AsyncUnaryCall(method, host, options, request);
        return call.ResponseAsync.GetAwaiter().GetResult();
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = Start(method, options, request);
        return new AsyncUnaryCall<TResponse>(call.ReadSingleAsync(), call.ResponseHeaders, call.GetStatus, call.GetTrailers, call.Dispose);
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = Start(method, options, request);
        return new AsyncServerStreamingCall<TResponse>(call, call.ResponseHeaders, call.GetStatus, call.GetTrailers, call.Dispose);
    }

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = Start(method, options, null);
        return new AsyncClientStreamingCall<TRequest, TResponse>(
            call, call.ReadSingleAsync(), call.ResponseHeaders, call.GetStatus, call.GetTrailers, call.Dispose);
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = Start(method, options, null);
        return new AsyncDuplexStreamingCall<TRequest, TResponse>(
            call, call, call.ResponseHeaders, call.GetStatus, call.GetTrailers, call.Dispose);
    }

    private ClientCall<TRequest, TResponse> Start<TRequest, TResponse>(Method<TRequest, TResponse> method, CallOptions options, TRequest? request)
        where TRequest : class
        where TResponse : class
    {
        ObjectDisposedException.ThrowIf(target.Closed.IsCancellationRequested, typeof(GrpcChannel));
        return new ClientCall<TRequest, TResponse>(target, method, options, request);
    }
}

/// <summary>
/// What the calls of a channel have in common: the server's name for messages and its address for HTTP, how to get there, and when to stop.
/// </summary>
internal sealed record CallTarget(
    string Name, Uri Address, HttpMessageInvoker Http, TimeProvider Time, GrpcChannelOptions Limits, CancellationToken Closed);
