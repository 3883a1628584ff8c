using Signet.Proxy.Http2;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.L7;

/// <summary>The one exchange of a stream in a session with a server that many exchanges share.</summary>
internal sealed class Http2Server(SharedSession session, EndpointUse? use) : IServerMessages
{
    private Http2Stream? _stream;
    private Http2Body? _body;
    private Http2ResponseHead? _head;
    private bool _hasAnswered;

    public string Endpoint => session.Dialled.Endpoint;

    public TlsSession? Session => session.Dialled.Session;

    public UpstreamEndpoint? Home => use?.Endpoint;

    public IBodySource Body => _body!;

    public ITransport Upgraded => throw new InvalidOperationException("HTTP/2 has no upgrade");

    /// <exception cref="Http2StreamException">The session takes no streams any more.</exception>
    public ValueTask WriteHeadAsync(RequestHead head, Forwarding forwarding, CancellationToken cancellationToken)
    {
        var fields = Http2Fields.Of(forwarding.Fields, extra: 1);
        if (head.TakesTrailers)
        {
            fields.Add(new("te", "trailers"));
        }

        // The scheme is that of this hop: servers compare it with what they see.
        var request = new Http2RequestHead(head.Method, head.Host, Session is null ? "http" : "https", forwarding.Path, fields);
        if (!session.Connection.TryOpen(request, endStream: head.Body.Kind == BodyKind.None, out _stream, out var refusal))
        {
            throw new Http2StreamException(Http2Error.RefusedStream, $"the session takes no stream ({refusal})", isUnprocessed: true);
        }

        _body = new Http2Body(_stream!);
        return default;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) => _stream!.WriteAsync(payload, cancellationToken);

    /// <summary>What streams write leaves together at the end of the turn.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => default;

    public ValueTask EndAsync(IReadOnlyList<KeyValuePair<string, string>> trailers, CancellationToken cancellationToken)
    {
        if (trailers.Count == 0)
        {
            return _stream!.EndWritesAsync(cancellationToken);
        }

        _stream!.WriteTrailers(Http2Fields.Of(trailers));
        return default;
    }

    public bool TryTakeHead(RequestHead request, out Received received)
    {
        if (_stream is null)
        {
            received = new(null, RefusalReason.UpstreamClosed, "the session takes no streams any more", RequestFate.Unprocessed);
            return true;
        }

        received = _head is null ? default : new(ResponseHead.Of(_head, request.Method, _stream.IsRead && _stream.Trailers.Count == 0));
        (_hasAnswered, _head) = (_hasAnswered || _head is not null, null);
        return received.Head is not null;
    }

    public async ValueTask<bool> ReadMoreAsync(CancellationToken cancellationToken)
    {
        _head = await _stream!.ReadHeadAsync(cancellationToken).ConfigureAwait(false);
        return true;
    }

    public Received NoHead(IOException? broken)
    {
        var (isBreach, isUnprocessed) = broken is Http2StreamException e ? (e.IsBreach, e.IsUnprocessed) : default;
        var fate = isUnprocessed ? RequestFate.Unprocessed : _hasAnswered || isBreach ? RequestFate.Unknown : RequestFate.Unanswered;
        return new(null, isBreach ? RefusalReason.UpstreamMalformed : RefusalReason.UpstreamClosed, broken!.Message, fate);
    }

    public ValueTask CompleteAsync(ResponseHead response) => DisposeAsync();

    public ValueTask DisposeAsync()
    {
        use?.Dispose();
        if (_stream is not { } stream)
        {
            return default;
        }

        _body!.Leave();
        return stream.DisposeAsync();
    }
}
