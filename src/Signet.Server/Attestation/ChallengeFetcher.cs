using System.Net;
using System.Net.Sockets;
using Signet.Hosting;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Server.Attestation;

/// <summary>What a name stands for. Thread-safe.</summary>
internal delegate Task<IPAddress[]> NameResolver(string host, CancellationToken cancellationToken);

/// <summary>
/// Fetches a short text over plain HTTP from where a stranger says. It must not be led astray: every address of the name is looked at and the
/// connection goes to one of those and nowhere else; no redirects, no proxies, little time, few bytes. Thread-safe.
/// </summary>
internal sealed class ChallengeFetcher : IDisposable
{
    private const int MaxHeadKilobytes = 8;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly IReadOnlyList<IPNetwork> _allowed;
    private readonly NameResolver _resolve;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _http;

    /// <param name="allowed">Networks that may be asked although they are not public.</param>
    /// <param name="resolve">Looks names up.</param>
    /// <param name="time">The clock.</param>
    public ChallengeFetcher(IReadOnlyList<IPNetwork> allowed, NameResolver resolve, TimeProvider time)
    {
        (_allowed, _resolve, _time) = (allowed, resolve, time);
        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.ConnectCallback = ConnectAsync;
        handler.MaxResponseDrainSize = 0;
        handler.PooledConnectionLifetime = TimeSpan.Zero;
        _http = new HttpMessageInvoker(handler);
    }

    /// <returns>The text without white space around it, or why there is none, for the operator.</returns>
    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public async Task<(string? Text, string Problem)> FetchAsync(string host, int port, string path, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new UriBuilder(Uri.UriSchemeHttp, host, port, path).Uri);
            using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            return response.StatusCode == HttpStatusCode.OK
                ? await ReadAsync(response, either.Token).ConfigureAwait(false)
                : (null, $"it answered {(int)response.StatusCode}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return (null, patience.IsCancellationRequested ? $"no answer came within {Timeout.TotalSeconds} s" : Printable.Of((e.InnerException ?? e).Message));
        }
    }

    public void Dispose() => _http.Dispose();

    private static async Task<(string? Text, string Problem)> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var buffer = new byte[HttpChallengeWire.MaxNonceLength + 1];
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using var ended = body.ConfigureAwait(false);
        var length = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return length < buffer.Length
            ? (System.Text.Encoding.UTF8.GetString(buffer, 0, length).Trim(), "")
            : (null, $"it answered with more than {HttpChallengeWire.MaxNonceLength} bytes");
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        // One address that must not be asked spoils the name, or whoever answers for it could have us try until we take that one.
        var addresses = await _resolve(context.DnsEndPoint.Host, cancellationToken).ConfigureAwait(false);
        var forbidden = addresses.Select(address => PublicAddress.Objection(address, _allowed)).FirstOrDefault(objection => objection is not null);
        if (forbidden is not null || addresses.Length == 0)
        {
            throw new IOException(forbidden ?? "its name has no address");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
