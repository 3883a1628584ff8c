using System.Runtime.CompilerServices;

namespace Grpc.Core;

/// <summary>A call under way, whatever its kind. Disposing gives it up if it has not ended.</summary>
public abstract class AsyncCall : IDisposable
{
    private readonly Func<Status> _status;
    private readonly Func<Metadata> _trailers;
    private readonly Action _dispose;

    private protected AsyncCall(Task<Metadata> responseHeaders, Func<Status> status, Func<Metadata> trailers, Action dispose)
    {
        ResponseHeadersAsync = responseHeaders;
        _status = status;
        _trailers = trailers;
        _dispose = dispose;
    }

    /// <summary>What the server said ahead of its first response.</summary>
    public Task<Metadata> ResponseHeadersAsync { get; }

    /// <exception cref="InvalidOperationException">The call has not ended.</exception>
    public Status GetStatus() => _status();

    /// <exception cref="InvalidOperationException">The call has not ended.</exception>
    public Metadata GetTrailers() => _trailers();

    public void Dispose()
    {
        _dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>A call of one request and one response. Awaiting it awaits the response.</summary>
public sealed class AsyncUnaryCall<TResponse> : AsyncCall
{
    public AsyncUnaryCall(
        Task<TResponse> response, Task<Metadata> responseHeaders, Func<Status> status, Func<Metadata> trailers, Action dispose)
        : base(responseHeaders, status, trailers, dispose) => ResponseAsync = response;

    public Task<TResponse> ResponseAsync { get; }

    public TaskAwaiter<TResponse> GetAwaiter() => ResponseAsync.GetAwaiter();

    public ConfiguredTaskAwaitable<TResponse> ConfigureAwait(bool continueOnCapturedContext) =>
        ResponseAsync.ConfigureAwait(continueOnCapturedContext);
}

/// <summary>A call of many requests and one response. Awaiting it awaits the response.</summary>
public sealed class AsyncClientStreamingCall<TRequest, TResponse> : AsyncCall
{
    public AsyncClientStreamingCall(
        IClientStreamWriter<TRequest> requests,
        Task<TResponse> response,
        Task<Metadata> responseHeaders,
        Func<Status> status,
        Func<Metadata> trailers,
        Action dispose)
        : base(responseHeaders, status, trailers, dispose)
    {
        RequestStream = requests;
        ResponseAsync = response;
    }

    public IClientStreamWriter<TRequest> RequestStream { get; }

    public Task<TResponse> ResponseAsync { get; }

    public TaskAwaiter<TResponse> GetAwaiter() => ResponseAsync.GetAwaiter();

    public ConfiguredTaskAwaitable<TResponse> ConfigureAwait(bool continueOnCapturedContext) =>
        ResponseAsync.ConfigureAwait(continueOnCapturedContext);
}

/// <summary>A call of one request and many responses.</summary>
public sealed class AsyncServerStreamingCall<TResponse> : AsyncCall
{
    public AsyncServerStreamingCall(
        IAsyncStreamReader<TResponse> responses,
        Task<Metadata> responseHeaders,
        Func<Status> status,
        Func<Metadata> trailers,
        Action dispose)
        : base(responseHeaders, status, trailers, dispose) => ResponseStream = responses;

    public IAsyncStreamReader<TResponse> ResponseStream { get; }
}

/// <summary>A call of many requests and many responses.</summary>
public sealed class AsyncDuplexStreamingCall<TRequest, TResponse> : AsyncCall
{
    public AsyncDuplexStreamingCall(
        IClientStreamWriter<TRequest> requests,
        IAsyncStreamReader<TResponse> responses,
        Task<Metadata> responseHeaders,
        Func<Status> status,
        Func<Metadata> trailers,
        Action dispose)
        : base(responseHeaders, status, trailers, dispose)
    {
        RequestStream = requests;
        ResponseStream = responses;
    }

    public IClientStreamWriter<TRequest> RequestStream { get; }

    public IAsyncStreamReader<TResponse> ResponseStream { get; }
}
