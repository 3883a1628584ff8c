using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Signet.Rpc.Protocol;

namespace Signet.Rpc.Calls;

/// <summary>
/// One call, from its request headers to its status. It ends once: with the server's status, with what broke, with its
/// deadline, or because the caller gave it up; whatever comes later changes nothing.
/// </summary>
internal sealed class ClientCall<TRequest, TResponse> : IAsyncStreamReader<TResponse>, IClientStreamWriter<TRequest>, IDisposable
    where TRequest : class
    where TResponse : class
{
    /// <summary>Timers reach no further; a deadline beyond it is left to the server.</summary>
    private static readonly TimeSpan MaxTimer = TimeSpan.FromDays(49);

    private static readonly StreamPipeReaderOptions ReaderOptions = new(bufferSize: 16 * 1024);

    private static readonly ProductInfoHeaderValue UserAgent =
        new("signet-rpc", typeof(GrpcChannel).Assembly.GetName().Version!.ToString(fieldCount: 3));

    private readonly string _target;
    private readonly Method<TRequest, TResponse> _method;
    private readonly GrpcChannelOptions _limits;
    private readonly RequestContent _requests;
    private readonly CancellationTokenSource _over = new();
    private readonly CancellationTokenRegistration _callersWish;
    private readonly CancellationTokenRegistration _channelClosed;
    private readonly ITimer? _deadline;
    private readonly TaskCompletionSource<Metadata> _responseHeaders = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task<PipeReader?> _response;
    private volatile bool _deadlinePassed;
    private HttpResponseMessage? _http;
    private Ending? _ending;
    private int _writing;

    /// <summary>Starts a call with one request, or with a stream of them when that is null.</summary>
    public ClientCall(CallTarget target, Method<TRequest, TResponse> method, CallOptions options, TRequest? onlyRequest)
    {
        _target = target.Name;
        _method = method;
        _limits = target.Limits;
        _requests = new RequestContent(onlyRequest is null ? null : BytesOf(onlyRequest));
        var left = options.Deadline?.ToUniversalTime() - target.Time.GetUtcNow().UtcDateTime;
        if (left <= TimeSpan.Zero)
        {
            PassDeadline();
        }
        else if (left < MaxTimer)
        {
            _deadline = target.Time.CreateTimer(
                static call => ((ClientCall<TRequest, TResponse>)call!).PassDeadline(), this, left.Value, Timeout.InfiniteTimeSpan);
        }

        _callersWish = options.CancellationToken.UnsafeRegister(static over => ((CancellationTokenSource)over!).Cancel(), _over);
        _channelClosed = target.Closed.UnsafeRegister(static over => ((CancellationTokenSource)over!).Cancel(), _over);
        _response = RunAsync(target.Http, NewRequest(new Uri(target.Address, method.FullName), options, left));
        Observe(_response);
        Observe(_responseHeaders.Task);
    }

    public Task<Metadata> ResponseHeaders => _responseHeaders.Task;

    public TResponse Current { get; private set; } = null!;

    public Status GetStatus() => Ended.Status;

    public Metadata GetTrailers() => Ended.Trailers;

    private Ending Ended => Volatile.Read(ref _ending) ?? throw new InvalidOperationException("the call has not ended");

    /// <summary>The response of a call that has one.</summary>
    public Task<TResponse> ReadSingleAsync()
    {
        var response = ReadAsync();
        Observe(response);
        return response;

        async Task<TResponse> ReadAsync()
        {
            if (!await MoveNext(CancellationToken.None).ConfigureAwait(false))
            {
                throw new RpcException(new Status(StatusCode.Internal, "the server ended the call without a response"));
            }

            var only = Current;
            return await MoveNext(CancellationToken.None).ConfigureAwait(false)
                ? throw End(new Status(StatusCode.Internal, "the server sent more than one response"))
                : only;
        }
    }

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        using var givingUp = cancellationToken.UnsafeRegister(static over => ((CancellationTokenSource)over!).Cancel(), _over);
        if (await _response.ConfigureAwait(false) is { } body && Volatile.Read(ref _ending) is null)
        {
            if (await ReadAsync(body).ConfigureAwait(false) is { } message)
            {
                Current = message;
                return true;
            }

            await body.CompleteAsync().ConfigureAwait(false);
        }

        return Ended.Status.StatusCode == StatusCode.OK ? false : throw Ended.ToException();
    }

    public Task WriteAsync(TRequest message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(TRequest message, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _writing, 1) != 0)
        {
            throw new InvalidOperationException("the write before this one has not ended; await it first");
        }

        try
        {
            using var givingUp = cancellationToken.UnsafeRegister(static over => ((CancellationTokenSource)over!).Cancel(), _over);
            if (Volatile.Read(ref _ending) is { } ending)
            {
                throw ending.ToException();
            }

            if (_requests.IsClosed)
            {
                throw new InvalidOperationException("no request can follow once the requests are completed");
            }

            using var frame = FrameBuffer.Of(_method.RequestMarshaller, message, _limits.MaxSendMessageLength);
            await SendAsync(frame.Bytes).ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref _writing, 0);
        }
    }

    public Task CompleteAsync()
    {
        _requests.Close();
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        _over.Cancel();
        End(Status.DefaultCancelled);
    }

    private HttpRequestMessage NewRequest(Uri uri, CallOptions options, TimeSpan? timeout)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, uri)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = _requests,
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        request.Headers.UserAgent.Add(UserAgent);
        if (timeout is { } left)
        {
            request.Headers.TryAddWithoutValidation("grpc-timeout", GrpcTimeout.Format(left));
        }

        foreach (var entry in options.Headers ?? [])
        {
            if (!MetadataHeaders.IsReserved(entry.Key))
            {
                request.Headers.TryAddWithoutValidation(entry.Key, MetadataHeaders.ValueOf(entry));
            }
        }

        return request;
    }

    private byte[] BytesOf(TRequest request)
    {
        using var frame = FrameBuffer.Of(_method.RequestMarshaller, request, _limits.MaxSendMessageLength);
        return frame.Bytes.ToArray();
    }

    /// <summary>Sends the request and waits for the headers of the response; null when they already held the status.</summary>
    private async Task<PipeReader?> RunAsync(HttpMessageInvoker http, HttpRequestMessage request)
    {
        try
        {
            var response = await http.SendAsync(request, _over.Token).ConfigureAwait(false);
            Interlocked.Exchange(ref _http, response);
            if (Volatile.Read(ref _ending) is not null)
            {
                // The call ended while the response was on its way: whoever ended it found nothing to dispose.
                response.Dispose();
            }

            CheckIsGrpc(response);
            _responseHeaders.TrySetResult(MetadataOf(response.Headers));
            if (response.Headers.NonValidated.Contains("grpc-status"))
            {
                End(response.Headers);
                return null;
            }

            return PipeReader.Create(await response.Content.ReadAsStreamAsync(_over.Token).ConfigureAwait(false), ReaderOptions);
        }
        catch (Exception e)
        {
            var failure = Fail(e);
            _responseHeaders.TrySetException(failure);
            throw failure;
        }
    }

    /// <summary>The next response; null when there is none and the call has ended.</summary>
    private async Task<TResponse?> ReadAsync(PipeReader body)
    {
        try
        {
            var message = await FrameReader.ReadAsync(body, _method.ResponseMarshaller, _limits.MaxReceiveMessageLength, _over.Token)
                .ConfigureAwait(false);
            if (message is null)
            {
                End(_http!.TrailingHeaders);
            }

            return message;
        }
        catch (Exception e)
        {
            Fail(e);
            return null;
        }
    }

    private static void CheckIsGrpc(HttpResponseMessage response)
    {
        var contentType = response.Content.Headers.ContentType?.MediaType;
        var isGrpc = contentType is "application/grpc" || contentType?.StartsWith("application/grpc+", StringComparison.Ordinal) == true;
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw new RpcException(CallFailure.Of(response.StatusCode));
        }

        if (!isGrpc)
        {
            throw new RpcException(new Status(
                StatusCode.Unknown, $"the server answered with content type \"{contentType}\"; expected \"application/grpc\""));
        }
    }

    private static Metadata MetadataOf(HttpHeaders headers)
    {
        var metadata = new Metadata();
        foreach (var (name, values) in headers.NonValidated)
        {
            foreach (var value in values)
            {
                MetadataHeaders.TryAdd(metadata, name, value);
            }
        }

        return metadata;
    }

    /// <summary>Sends one message. When that breaks because the server has answered early, its status says why; otherwise what broke does.</summary>
    private async Task SendAsync(ReadOnlyMemory<byte> frame)
    {
        try
        {
            await _requests.WriteAsync(frame, _over.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await ((Task)_response).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw Volatile.Read(ref _ending)?.ToException() ?? new RpcException(StatusOf(e));
        }
    }

    private RpcException Fail(Exception e) => e is RpcException rpc ? End(rpc.Status) : End(StatusOf(e));

    /// <summary>The deadline and the caller come first: what they interrupted reports all kinds of things.</summary>
    private Status StatusOf(Exception e)
    {
        if (_deadlinePassed)
        {
            return new Status(StatusCode.DeadlineExceeded, "the deadline passed before the call ended", e);
        }

        return _over.IsCancellationRequested ? new Status(StatusCode.Cancelled, "the caller gave the call up", e) : CallFailure.Of(e, _target);
    }

    private void End(HttpHeaders statusAndTrailers)
    {
        var text = First(statusAndTrailers, "grpc-status");
        var status = text is null
            ? new Status(StatusCode.Internal, "the server ended the stream without a status")
            : int.TryParse(text, out var code) && Enum.IsDefined((StatusCode)code)
                ? new Status((StatusCode)code, StatusMessage.Decode(First(statusAndTrailers, "grpc-message") ?? ""))
                : new Status(StatusCode.Unknown, "the server ended the call with a status that gRPC does not define");
        End(new Ending(status, MetadataOf(statusAndTrailers)));
    }

    private RpcException End(Status status) => End(new Ending(status, [])).ToException();

    private Ending End(Ending ending)
    {
        if (Interlocked.CompareExchange(ref _ending, ending, null) is { } earlier)
        {
            return earlier;
        }

        _callersWish.Unregister();
        _channelClosed.Unregister();
        _deadline?.Dispose();
        _requests.Close();
        _http?.Dispose();
        return ending;
    }

    private void PassDeadline()
    {
        _deadlinePassed = true;
        _over.Cancel();
    }

    private static string? First(HttpHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out var values) ? values.First() : null;

    /// <summary>Its failure is reported elsewhere too; nobody has to look at this task.</summary>
    private static void Observe(Task task) => task.ContinueWith(
        static failed => _ = failed.Exception,
        CancellationToken.None,
        TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
        TaskScheduler.Default);

    private sealed record Ending(Status Status, Metadata Trailers)
    {
        public RpcException ToException() => new(Status, Trailers);
    }
}
