namespace Grpc.Core;

/// <summary>What a caller wants for one call.</summary>
/// <param name="Headers">Sent with the request.</param>
/// <param name="Deadline">When the caller stops waiting, in UTC; null never does. The server learns of it.</param>
/// <param name="CancellationToken">Gives the call up.</param>
public readonly record struct CallOptions(Metadata? Headers = null, DateTime? Deadline = null, CancellationToken CancellationToken = default);

/// <summary>Makes calls; generated clients are thin layers over one. Thread-safe.</summary>
public abstract class CallInvoker
{
    /// <summary>Like <see cref="AsyncUnaryCall{TRequest,TResponse}"/>, holding the thread until the response is there.</summary>
    public abstract TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        where TRequest : class
        where TResponse : class;

    public abstract AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        where TRequest : class
        where TResponse : class;

    public abstract AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        where TRequest : class
        where TResponse : class;

    public abstract AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
        where TRequest : class
        where TResponse : class;

    public abstract AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
        where TRequest : class
        where TResponse : class;
}

/// <summary>A way to a server.</summary>
public abstract class ChannelBase(string target)
{
    /// <summary>Where it leads, for a person.</summary>
    public string Target { get; } = target;

    public abstract CallInvoker CreateCallInvoker();
}

/// <summary>What generated clients derive from.</summary>
public abstract class ClientBase<T>
    where T : ClientBase<T>
{
    private readonly CallInvoker? _callInvoker;

    /// <summary>For a stand-in in a test, which overrides the methods.</summary>
    protected ClientBase()
    {
    }

    protected ClientBase(ChannelBase channel)
        : this(channel.CreateCallInvoker())
    {
    }

    protected ClientBase(CallInvoker callInvoker) => _callInvoker = callInvoker;

    protected ClientBase(ClientBaseConfiguration configuration)
        : this(configuration.CallInvoker)
    {
    }

    protected CallInvoker CallInvoker =>
        _callInvoker ?? throw new InvalidOperationException("this client was made without a channel; override the method that is called");

    protected abstract T NewInstance(ClientBaseConfiguration configuration);

    /// <summary>How generated clients copy themselves.</summary>
    protected internal sealed class ClientBaseConfiguration
    {
        internal ClientBaseConfiguration(CallInvoker callInvoker) => CallInvoker = callInvoker;

        internal CallInvoker CallInvoker { get; }
    }
}
