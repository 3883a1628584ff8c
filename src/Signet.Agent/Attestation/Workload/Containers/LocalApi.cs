using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Text.Json;
using Signet.Hosting;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>A neighbour cannot be asked; the message says why.</summary>
internal sealed class LocalApiException(string message) : Exception(message);

/// <summary>
/// Asks a neighbour on this machine, a container engine or the kubelet, for JSON over HTTP. Whatever it does, it costs a bounded time and a bounded amount of memory. Thread-safe;
/// whoever makes it disposes it.
/// </summary>
internal sealed class LocalApi : IDisposable
{
    private const int MaxHeadKilobytes = 16;
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64 };
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly string _name;
    private readonly Uri _base;
    private readonly int _maxBytes;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _places;
    private readonly HttpMessageInvoker _http;

    private LocalApi(string name, Uri from, int maxBytes, int atOnce, TimeProvider time, Action<SocketsHttpHandler> connect)
    {
        (_name, _base, _maxBytes, _time) = (name, from, maxBytes, time);
        _places = new SemaphoreSlim(atOnce, atOnce);
        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30);
        handler.MaxConnectionsPerServer = atOnce;
        connect(handler);
        _http = new HttpMessageInvoker(handler);
    }

    /// <param name="path">The socket.</param>
    /// <param name="maxBytes">The longest answer.</param>
    /// <param name="atOnce">How many questions are open at once; further ones wait.</param>
    /// <param name="time">The clock.</param>
    public static LocalApi OverSocket(string path, int maxBytes, int atOnce, TimeProvider time) => new(path, new Uri("http://localhost/"), maxBytes, atOnce, time, handler =>
        handler.ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        });

    /// <param name="from">Where it is.</param>
    /// <param name="tls">How its certificate is judged, with https.</param>
    /// <param name="maxBytes">The longest answer.</param>
    /// <param name="atOnce">How many questions are open at once; further ones wait.</param>
    /// <param name="time">The clock.</param>
    public static LocalApi OverNetwork(Uri from, SslClientAuthenticationOptions? tls, int maxBytes, int atOnce, TimeProvider time) => new(from.ToString(), from, maxBytes, atOnce, time, handler =>
    {
        if (tls is not null)
        {
            handler.SslOptions = tls;
        }
    });

    /// <param name="path">What is asked for.</param>
    /// <param name="token">A bearer token; null for none.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The answer, which the caller disposes; null for 404.</returns>
    /// <exception cref="LocalApiException">There is none that can be used.</exception>
    public async Task<JsonDocument?> GetAsync(string path, string? token, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        var hasPlace = false;
        try
        {
            await _places.WaitAsync(either.Token).ConfigureAwait(false);
            hasPlace = true;
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_base, path));
            request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
            using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            return response.StatusCode switch
            {
                HttpStatusCode.OK => await ReadAsync(response, either.Token).ConfigureAwait(false),
                HttpStatusCode.NotFound => null,
                var status => throw new LocalApiException($"{_name} answered {(int)status} to GET {path}"),
            };
        }
        catch (Exception e) when (e is HttpRequestException or IOException or FormatException or JsonException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new LocalApiException(patience.IsCancellationRequested
                ? $"{_name} did not answer within {Timeout.TotalSeconds} s"
                : $"{_name}: {Printable.Of((e.InnerException ?? e).Message)}");
        }
        finally
        {
            if (hasPlace)
            {
                _places.Release();
            }
        }
    }

    public void Dispose()
    {
        _http.Dispose();
        _places.Dispose();
    }

    private async Task<JsonDocument> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.Content.Headers.ContentLength > _maxBytes)
        {
            throw TooLong();
        }

        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using var ended = body.ConfigureAwait(false);
        using var whole = new MemoryStream();
        var piece = new byte[64 * 1024];
        int read;
        while ((read = await body.ReadAsync(piece, cancellationToken).ConfigureAwait(false)) > 0)
        {
            whole.Write(piece, 0, whole.Length + read <= _maxBytes ? read : throw TooLong());
        }

        return JsonDocument.Parse(whole.GetBuffer().AsMemory(0, (int)whole.Length), Options);
    }

    private LocalApiException TooLong() => new($"{_name} answered more than {_maxBytes} bytes");
}
