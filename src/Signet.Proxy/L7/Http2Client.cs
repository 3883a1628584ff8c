using Signet.Proxy.Http2;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>The one exchange of a stream that a client opened.</summary>
internal sealed class Http2Client(Http2Stream stream, RequestHead? head, TimeProvider time) : IClientMessages
{
    private readonly Http2Body _body = new(stream);
    private bool _hasHead;
    private bool _hasEnded;

    public RequestHead? Head => head;

    public IBodySource Body => _body;

    public bool MayGoOn => true;

    public ITransport Upgraded => throw new InvalidOperationException("HTTP/2 has no upgrade");

    public ValueTask WriteInterimAsync(ResponseHead interim, List<KeyValuePair<string, string>> fields, CancellationToken cancellationToken)
    {
        stream.WriteHead(new Http2ResponseHead(interim.Status, Http2Fields.Of(fields)), endStream: false);
        return default;
    }

    public ValueTask WriteHeadAsync(int status, string phrase, List<KeyValuePair<string, string>> fields, BodyFraming body, bool goesOn, CancellationToken cancellationToken)
    {
        (_hasHead, _hasEnded) = (true, body.Kind == BodyKind.None);
        stream.WriteHead(new Http2ResponseHead(status, Http2Fields.Of(fields)), _hasEnded);
        return default;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) => stream.WriteAsync(payload, cancellationToken);

    /// <summary>What streams write leaves together at the end of the turn.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => default;

    public ValueTask EndAsync(IReadOnlyList<KeyValuePair<string, string>> trailers, CancellationToken cancellationToken)
    {
        if (_hasEnded)
        {
            return default;
        }

        _hasEnded = true;
        if (trailers.Count == 0)
        {
            return stream.EndWritesAsync(cancellationToken);
        }

        stream.WriteTrailers(Http2Fields.Of(trailers));
        return default;
    }

    public void Abort(Http2Error code) => stream.Reset(code);

    public bool TryRefuse()
    {
        if (!_hasHead)
        {
            stream.Reset(Http2Error.RefusedStream);
        }

        return !_hasHead;
    }

    public async ValueTask CloseAsync(AccessRecord record)
    {
        try
        {
            if (record.Refusal == RefusalReason.MalformedRequest)
            {
                stream.Reset(Http2Error.ProtocolError);
            }
            else if (_hasHead || record.Refusal == RefusalReason.ClientLeft)
            {
                stream.Reset(Http2Error.Cancel);
            }
            else
            {
                using var moment = new CancellationTokenSource(Parting.Moment, time);
                await OwnResponse.WriteAsync(this, record, Refusals.Status(record.Refusal!.Value), close: true, moment.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client does not listen.
        }
    }

    /// <summary>Nobody reads on.</summary>
    public void Leave() => _body.Leave();
}
