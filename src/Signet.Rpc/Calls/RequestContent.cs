using System.Net;
using System.Net.Http.Headers;

namespace Signet.Rpc.Calls;

/// <summary>
/// The request of a call as an HTTP body: one message, or a stream of them. HTTP lends the stream from the moment the headers
/// have left until <see cref="Close"/>, or until it breaks.
/// </summary>
internal sealed class RequestContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly byte[]? _only;

    /// <param name="only">The message, in its envelope, of a call that sends one; null for a stream.</param>
    public RequestContent(byte[]? only)
    {
        _only = only;
        Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
    }

    public bool IsClosed => _closed.Task.IsCompleted;

    /// <summary>Waits until the stream is there, then writes one message in its envelope.</summary>
    /// <exception cref="OperationCanceledException">Cancelled, or closed before the stream was there.</exception>
    public async Task WriteAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellationToken)
    {
        var stream = await _opened.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        await stream.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
        await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the stream. Safe to repeat.</summary>
    public void Close()
    {
        _closed.TrySetResult();
        if (_only is null)
        {
            _opened.TrySetCanceled();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _only?.Length ?? 0;
        return _only is not null;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        if (_only is not null)
        {
            await stream.WriteAsync(_only, cancellationToken).ConfigureAwait(false);
            return;
        }

        // The flush sends the headers, so that a server can answer before the first message.
        await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        if (!_opened.TrySetResult(stream) && !IsClosed)
        {
            throw new IOException("the connection broke under a stream of requests, which can't be sent twice");
        }

        await _closed.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }
}
