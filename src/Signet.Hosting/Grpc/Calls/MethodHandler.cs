using Grpc.Core;

namespace Signet.Hosting.Grpc.Calls;

/// <summary>A method as the server runs it: read what it needs, call the handler, send what it returns.</summary>
/// <param name="Method">Which.</param>
/// <param name="Options">Limits.</param>
/// <param name="Filter">Runs before each call.</param>
/// <param name="Run">Does a call; what it throws becomes the status.</param>
internal sealed record MethodHandler(
    IMethod Method, GrpcServerOptions Options, GrpcCallFilter? Filter, Func<HttpServerCallContext, Task> Run);

/// <summary>Turns the methods of a bound service into handlers, by path.</summary>
internal sealed class MethodHandlerBinder(Dictionary<string, MethodHandler> methods, GrpcServerOptions options, GrpcCallFilter? filter)
    : ServiceBinderBase
{
    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
    {
        ArgumentNullException.ThrowIfNull(handler);
        Add(method, async context =>
        {
            var request = await Requests(method, context).ReadOnlyAsync();
            await Responses(method, context).WriteAsync(await handler(request, context));
        });
    }

    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
    {
        ArgumentNullException.ThrowIfNull(handler);
        Add(method, async context => await Responses(method, context).WriteAsync(await handler(Requests(method, context), context)));
    }

    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
    {
        ArgumentNullException.ThrowIfNull(handler);
        Add(method, async context =>
        {
            var request = await Requests(method, context).ReadOnlyAsync();
            await handler(request, Responses(method, context), context);
        });
    }

    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
    {
        ArgumentNullException.ThrowIfNull(handler);
        Add(method, context => handler(Requests(method, context), Responses(method, context), context));
    }

    private void Add(IMethod method, Func<HttpServerCallContext, Task> run) =>
        methods.Add(method.FullName, new MethodHandler(method, options, filter, run));

    private RequestStream<TRequest> Requests<TRequest, TResponse>(Method<TRequest, TResponse> method, HttpServerCallContext context)
        where TRequest : class => new(context, method.RequestMarshaller, options.MaxReceiveMessageLength);

    private ResponseStream<TResponse> Responses<TRequest, TResponse>(Method<TRequest, TResponse> method, HttpServerCallContext context)
        where TResponse : class => new(context, method.ResponseMarshaller, options.MaxSendMessageLength);
}
