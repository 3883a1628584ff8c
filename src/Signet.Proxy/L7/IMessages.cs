using Signet.Proxy.Http2;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.L7;

/// <summary>The client's side of one exchange, whatever version it speaks: its request's body is read here, the response goes here.</summary>
internal interface IClientMessages : IBodySink
{
    /// <summary>The request; null when it could not be understood.</summary>
    RequestHead? Head { get; }

    /// <summary>The request's body.</summary>
    IBodySource Body { get; }

    /// <summary>Whether another request may follow, as far as the request's own end and the client's wishes say.</summary>
    bool MayGoOn { get; }

    /// <summary>Sends a head that announces another one; a client that knows none does not get it.</summary>
    ValueTask WriteInterimAsync(ResponseHead head, List<KeyValuePair<string, string>> fields, CancellationToken cancellationToken);

    /// <summary>Sends the final head, perhaps later together with payload.</summary>
    /// <param name="status">The status.</param>
    /// <param name="phrase">Where the version has one.</param>
    /// <param name="fields">End-to-end fields; becomes the callee's.</param>
    /// <param name="body">How the payload was delimited where it comes from.</param>
    /// <param name="goesOn">Whether the client may send another request.</param>
    /// <param name="cancellationToken">Gives up.</param>
    ValueTask WriteHeadAsync(int status, string phrase, List<KeyValuePair<string, string>> fields, BodyFraming body, bool goesOn, CancellationToken cancellationToken);

    /// <summary>Ends the exchange so that the client cannot take what it got for a whole response.</summary>
    void Abort(Http2Error code);

    /// <summary>Says that nobody looked at the request, if the version has a word for it.</summary>
    bool TryRefuse();

    /// <summary>The proxy itself ended the exchange, as the record says: tells the client what can still be told. Never throws.</summary>
    ValueTask CloseAsync(AccessRecord record);

    /// <summary>The connection below, once a 101 was sent. HTTP/1 only.</summary>
    ITransport Upgraded { get; }
}

/// <summary>The server's side of one exchange, whatever version it speaks. Disposing of it ends what is not certain to have ended well.</summary>
internal interface IServerMessages : IBodySink, IAsyncDisposable
{
    /// <summary>The address, for logs.</summary>
    string Endpoint { get; }

    /// <summary>The handshake's result; null for plaintext.</summary>
    TlsSession? Session { get; }

    /// <summary>The endpoint of the service that it is at; null for the own application.</summary>
    UpstreamEndpoint? Home { get; }

    /// <summary>Sends the request's head, perhaps later together with payload.</summary>
    /// <exception cref="IOException">Nobody takes it.</exception>
    ValueTask WriteHeadAsync(RequestHead head, Forwarding forwarding, CancellationToken cancellationToken);

    /// <summary>Takes the next head of the response from what has arrived; interim ones come first. False when more is needed.</summary>
    bool TryTakeHead(RequestHead request, out Received received);

    /// <summary>Waits for more of the head.</summary>
    /// <returns>False when the server has ended what it sends.</returns>
    /// <exception cref="IOException">The message broke off.</exception>
    ValueTask<bool> ReadMoreAsync(CancellationToken cancellationToken);

    /// <summary>What there is instead of a head once no more of it comes.</summary>
    /// <param name="broken">How it broke off; null when the server has ended what it sends.</param>
    Received NoHead(IOException? broken);

    /// <summary>The response's body, once its final head was read.</summary>
    IBodySource Body { get; }

    /// <summary>Both messages ended in certainty: the connection may serve another request, if the response allows it. Instead of disposing.</summary>
    ValueTask CompleteAsync(ResponseHead response);

    /// <summary>The connection below, once a 101 was read. HTTP/1 only.</summary>
    ITransport Upgraded { get; }
}

/// <summary>A head of a response, or why there is none.</summary>
/// <param name="Head">The head.</param>
/// <param name="Reason">The closed reason.</param>
/// <param name="Detail">For the operator.</param>
/// <param name="Fate">What became of the request.</param>
internal readonly record struct Received(ResponseHead? Head, RefusalReason Reason = default, string Detail = "", RequestFate Fate = default);

/// <summary>What is known of a request that got no response.</summary>
internal enum RequestFate
{
    /// <summary>It may have been handled, and something of an answer had come.</summary>
    Unknown,

    /// <summary>It may have been handled, but nothing of an answer came.</summary>
    Unanswered,

    /// <summary>A connection that had been kept ended before anything came: most likely it was never read.</summary>
    ProbablyUnread,

    /// <summary>The server has promised that it did not look at it.</summary>
    Unprocessed,
}
