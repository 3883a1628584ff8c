using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Signet.Rpc.Protocol;

namespace Signet.Hosting.Grpc.Calls;

/// <summary>
/// A call over HTTP. Everything that is sent goes through one gate, and the status goes last: once it has left, a handler that
/// is still at work finds the gate closed.
/// </summary>
internal sealed class HttpServerCallContext(
    HttpContext http, string method, Metadata requestHeaders, DateTime deadline, CancellationToken cancellationToken) : ServerCallContext, IDisposable
{
    private readonly SemaphoreSlim _gate = new(1, 1);
    private bool _closed;

    public HttpContext Http { get; } = http;

    /// <summary>Hears how the call ended, before the caller does.</summary>
    public Func<Status, ValueTask>? Ended { get; set; }

    public override string Method { get; } = method;

    public override string Peer { get; } = PeerOf(http.Connection);

    public override DateTime Deadline { get; } = deadline;

    public override Metadata RequestHeaders { get; } = requestHeaders;

    public override CancellationToken CancellationToken { get; } = cancellationToken;

    public static string PeerOf(ConnectionInfo connection) => connection.RemoteIpAddress switch
    {
        null => "unix:",
        { AddressFamily: AddressFamily.InterNetwork } => $"ipv4:{new IPEndPoint(connection.RemoteIpAddress, connection.RemotePort)}",
        _ => $"ipv6:{new IPEndPoint(connection.RemoteIpAddress, connection.RemotePort)}",
    };

    /// <summary>The end of the call or of what one operation waits for, whichever comes first.</summary>
    public CancellationTokenSource Either(CancellationToken cancellationToken) =>
        CancellationTokenSource.CreateLinkedTokenSource(CancellationToken, cancellationToken);

    public override async Task WriteResponseHeadersAsync(Metadata responseHeaders)
    {
        await EnterAsync(CancellationToken);
        try
        {
            if (Http.Response.HasStarted)
            {
                throw new InvalidOperationException("the response headers have left already; send them before the first response");
            }

            Append(Http.Response.Headers, responseHeaders);
            await Http.Response.BodyWriter.FlushAsync(CancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Sends one message in its envelope.</summary>
    /// <exception cref="OperationCanceledException">Nobody waits for it any more.</exception>
    public async Task SendAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellationToken)
    {
        using var either = Either(cancellationToken);
        await EnterAsync(either.Token);
        try
        {
            // A message is in the pipe whole or not at all; what can be cancelled is waiting for the peer to take it.
            if ((await Http.Response.BodyWriter.WriteAsync(frame, either.Token)).IsCompleted)
            {
                throw new OperationCanceledException("the caller is gone");
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Sends the status and closes the gate.</summary>
    public async Task CloseAsync(Status status, Metadata trailers)
    {
        await _gate.WaitAsync(CancellationToken.None);
        try
        {
            _closed = true;
            WriteStatus(Http, status, trailers);
            await Http.Response.CompleteAsync();
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Puts the status where it belongs: in the trailers, or in the headers of a response that is nothing but a refusal.</summary>
    public static void WriteStatus(HttpContext http, Status status, Metadata trailers)
    {
        var headers = http.Response.HasStarted || status.StatusCode == StatusCode.OK
            ? http.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
            : http.Response.Headers;
        headers["grpc-status"] = ((int)status.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (status.Detail.Length > 0)
        {
            headers["grpc-message"] = StatusMessage.Encode(status.Detail);
        }

        Append(headers, trailers);
    }

    public void Dispose() => _gate.Dispose();

    private static void Append(IHeaderDictionary headers, Metadata metadata)
    {
        foreach (var entry in metadata)
        {
            if (!MetadataHeaders.IsReserved(entry.Key))
            {
                headers.Append(entry.Key, MetadataHeaders.ValueOf(entry));
            }
        }
    }

    private async Task EnterAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        if (_closed)
        {
            _gate.Release();
            throw new OperationCanceledException("the call has ended");
        }
    }
}
