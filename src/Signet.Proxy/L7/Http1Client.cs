using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>The exchanges of a client that speaks HTTP/1, one after the other on its connection. Dispose to give the output's buffer back.</summary>
internal sealed class Http1Client(ProxyCore core, LiveConnection live, BufferedTransport client) : IClientMessages, IDisposable
{
    private readonly OutputBuffer _output = new(client);
    private readonly Http1Body _body = new(client);
    private bool _asChunks;

    public RequestHead? Head { get; private set; }

    public IBodySource Body => _body;

    /// <summary>It can only send another request once all of this one's body was taken from it, and while the certificates last.</summary>
    public bool MayGoOn => Head is { KeepAlive: true } && !core.IsDraining && !live.IsEnding && _body.IsComplete;

    public ITransport Upgraded => client;

    /// <summary>The next exchange.</summary>
    public void Begin(RequestHead? head)
    {
        Head = head;
        _body.Begin(head?.Body ?? BodyFraming.None);
    }

    public async ValueTask WriteInterimAsync(ResponseHead head, List<KeyValuePair<string, string>> fields, CancellationToken cancellationToken)
    {
        if (Head is not { Version: ProtocolVersion.Http10 })
        {
            await _output.WriteResponseHeadAsync(head.Status, head.Phrase, fields, cancellationToken).ConfigureAwait(false);
            await _output.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public ValueTask WriteHeadAsync(int status, string phrase, List<KeyValuePair<string, string>> fields, BodyFraming body, bool goesOn, CancellationToken cancellationToken)
    {
        _asChunks = body.Kind is BodyKind.Chunked or BodyKind.UntilClose && Head is not { Version: ProtocolVersion.Http10 };
        if (_asChunks)
        {
            fields.Add(new("transfer-encoding", "chunked"));
        }
        else if (body.Kind == BodyKind.None && Head is not { Method: "HEAD" } && status is >= 200 and not (204 or 304)
            && !fields.Exists(field => field.Key.Equals("content-length", StringComparison.OrdinalIgnoreCase)))
        {
            // A response without a length would last until the connection's end.
            fields.Add(new("content-length", "0"));
        }

        if (!goesOn)
        {
            fields.Add(new("connection", "close"));
        }

        return _output.WriteResponseHeadAsync(status, phrase.Length > 0 ? phrase : OwnResponse.PhraseOf(status), fields, cancellationToken);
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) => _output.WritePayloadAsync(payload, _asChunks, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken) => _output.FlushAsync(cancellationToken);

    public ValueTask EndAsync(IReadOnlyList<KeyValuePair<string, string>> trailers, CancellationToken cancellationToken) => _output.EndAsync(_asChunks, trailers, cancellationToken);

    public void Abort(Http2Error code) => client.Abort();

    public bool TryRefuse() => false;

    /// <summary>The connection is closed; that says it.</summary>
    public ValueTask CloseAsync(AccessRecord record) => default;

    /// <summary>The connection may now be idle, and then holds no buffer.</summary>
    public void Rest() => _output.Dispose();

    public void Dispose() => _output.Dispose();
}
