using Signet.Proxy.Tls;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.L7;

/// <summary>The exchanges with a server that speaks HTTP/1, one after the other on a connection that a pool keeps meanwhile.</summary>
internal sealed class Http1Server(UpstreamConnection connection, UpstreamPool pool) : IServerMessages
{
    private readonly OutputBuffer _output = new(connection.Transport);
    private readonly Http1Body _body = new(connection.Transport);
    private object _era = pool;
    private HeadScanner _scanner;
    private bool _hasAnswered;
    private bool _asChunks;

    public string Endpoint => connection.Endpoint;

    public TlsSession? Session => connection.Session;

    public UpstreamEndpoint? Home => connection.Home;

    public IBodySource Body => _body;

    public ITransport Upgraded => connection.Transport;

    /// <summary>The next exchange.</summary>
    /// <param name="era">What the pool wants to be given back with the connection.</param>
    public void Begin(object era) => (_era, _scanner, _hasAnswered) = (era, default, false);

    public async ValueTask WriteHeadAsync(RequestHead head, Forwarding forwarding, CancellationToken cancellationToken)
    {
        var fields = forwarding.Fields;
        _asChunks = head.Body.Kind == BodyKind.Chunked;
        if (_asChunks)
        {
            fields = [.. fields, new("transfer-encoding", "chunked")];
        }
        else if (head.Body.Kind == BodyKind.None && head.Version == ProtocolVersion.Http2 && head.Method is "POST" or "PUT" or "PATCH" && !fields.Exists(field => field.Key == "content-length"))
        {
            // Where a body is expected, its absence is said (RFC 9110 §8.6); HTTP/2 says it by the end of the stream.
            fields = [.. fields, new("content-length", "0")];
        }

        if (head.IsWebSocketUpgrade)
        {
            fields = [.. fields, new("connection", "upgrade"), new("upgrade", "websocket")];
        }

        await _output.WriteRequestHeadAsync(head.Method, forwarding.Path, fields, cancellationToken).ConfigureAwait(false);
        if (head.Body.Kind == BodyKind.None || head.ExpectsContinue)
        {
            await _output.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) => _output.WritePayloadAsync(payload, _asChunks, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken) => _output.FlushAsync(cancellationToken);

    public ValueTask EndAsync(IReadOnlyList<KeyValuePair<string, string>> trailers, CancellationToken cancellationToken) => _output.EndAsync(_asChunks, trailers, cancellationToken);

    public bool TryTakeHead(RequestHead request, out Received received)
    {
        received = default;

        // A pooled connection is empty, and the read that watched over its rest still owns the buffer: nobody looks before it ended.
        if (connection.IsResting)
        {
            return false;
        }

        var available = connection.Transport.Available.Span;
        if (!_scanner.TryFindEnd(available, out var length, out var problem))
        {
            problem ??= available.Length >= HttpLimits.MaxHead ? HttpProblem.HeadTooLarge : null;
            received = problem is { } unreadable ? new(null, RefusalReason.UpstreamMalformed, unreadable.ToString()) : default;
            return problem is not null;
        }

        _scanner = default;
        if (!ResponseHead.TryParse(available[..length], request.Method, out var response, out var malformed))
        {
            received = new(null, RefusalReason.UpstreamMalformed, malformed.ToString());
            return true;
        }

        connection.Transport.Consume(length);
        _hasAnswered = true;
        _body.Begin(response.Body);
        received = response.Status == 101 && !request.IsWebSocketUpgrade
            ? new(null, RefusalReason.UpstreamMalformed, nameof(HttpProblem.UpgradeUnasked))
            : new(response);
        return true;
    }

    public ValueTask<bool> ReadMoreAsync(CancellationToken cancellationToken) => connection.ReadMoreAsync(HttpLimits.MaxHead, cancellationToken);

    public Received NoHead(IOException? broken)
    {
        var fate = _hasAnswered || !connection.Transport.Available.IsEmpty ? RequestFate.Unknown : connection.IsReused ? RequestFate.ProbablyUnread : RequestFate.Unanswered;
        return new(null, RefusalReason.UpstreamClosed, broken?.Message ?? "ended the connection before a response; its own log may say why", fate);
    }

    public ValueTask CompleteAsync(ResponseHead response)
    {
        _output.Dispose();
        return response.KeepAlive ? pool.GiveBackAsync(connection, _era) : connection.DisposeAsync();
    }

    public ValueTask DisposeAsync()
    {
        _output.Dispose();
        return connection.DisposeAsync();
    }
}
