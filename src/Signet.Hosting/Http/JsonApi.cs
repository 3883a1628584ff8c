using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Http;

/// <summary>An API cannot be asked, or answers what nobody understands; the message says which.</summary>
public sealed class JsonApiException(string message) : Exception(message)
{
    /// <summary>What it answered, where that was another status than expected; else null.</summary>
    public HttpStatusCode? Status { get; init; }
}

/// <summary>How much an API is asked, and may answer.</summary>
/// <param name="MaxBytes">The longest answer.</param>
/// <param name="AtOnce">How many questions are open at once; further ones wait.</param>
/// <param name="Timeout">How long an answer is waited for, from the question on.</param>
public sealed record JsonApiLimits(int MaxBytes, int AtOnce, TimeSpan Timeout);

/// <summary>
/// Asks an API for JSON over HTTP: Kubernetes, its kubelet, a container engine. Whatever it does, it costs a bounded time and a bounded amount of memory; no redirects, no proxies. Thread-safe;
/// whoever makes it disposes it.
/// </summary>
public sealed class JsonApi : IDisposable
{
    private const int MaxHeadKilobytes = 16;
    private const int PieceBytes = 64 * 1024;
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64 };

    private readonly string _name;
    private readonly Uri _base;
    private readonly JsonApiLimits _limits;
    private readonly Func<string> _problem;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _places;
    private readonly HttpMessageInvoker _http;

    private JsonApi(string name, Uri from, JsonApiLimits limits, Func<string> problem, TimeProvider time, Action<SocketsHttpHandler> connect)
    {
        (_name, _base, _limits, _problem, _time) = (name, from, limits, problem, time);
        _places = new SemaphoreSlim(limits.AtOnce, limits.AtOnce);
        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.MaxConnectionsPerServer = limits.AtOnce;
        handler.PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1);
        handler.PooledConnectionLifetime = TimeSpan.FromMinutes(10);
        connect(handler);
        _http = new HttpMessageInvoker(handler);
    }

    /// <param name="path">The socket.</param>
    /// <param name="limits">How much is asked.</param>
    /// <param name="time">The clock.</param>
    public static JsonApi OverSocket(string path, JsonApiLimits limits, TimeProvider time) => new(path, new Uri("http://localhost/"), limits, () => "", time, handler =>
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
    /// <param name="problem">Why its certificate was refused last; empty when it was not.</param>
    /// <param name="limits">How much is asked.</param>
    /// <param name="time">The clock.</param>
    public static JsonApi OverNetwork(Uri from, SslClientAuthenticationOptions? tls, Func<string> problem, JsonApiLimits limits, TimeProvider time) => new(from.ToString(), from, limits, problem, time, handler =>
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
    /// <exception cref="JsonApiException">There is none that can be used.</exception>
    public Task<JsonDocument?> GetAsync(string path, string? token, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Get, path, token, body: null, (response, patience, stop) => ReadAsync(response, stop)!, cancellationToken);

    /// <param name="path">To what.</param>
    /// <param name="token">A bearer token; null for none.</param>
    /// <param name="body">What is posted, JSON.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <inheritdoc cref="GetAsync"/>
    public Task<JsonDocument?> PostAsync(string path, string? token, string body, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Post, path, token, body, (response, patience, stop) => ReadAsync(response, stop)!, cancellationToken);

    /// <summary>Asks for an answer that goes on: a line of JSON for each thing that happens. Its head has the time of any other answer.</summary>
    /// <param name="path">What is asked for.</param>
    /// <param name="token">A bearer token; null for none.</param>
    /// <param name="longest">After it, an answer that has not ended is left, as if it had; who has said nothing for so long may not be there any more.</param>
    /// <param name="begun">Called once the answer has begun.</param>
    /// <param name="take">Gets each line, no longer than an answer may be, and only for the time of the call; what it throws ends the answer and reaches the caller.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether there was an answer; false for 404.</returns>
    /// <exception cref="JsonApiException">There is none that can be used, or it was cut.</exception>
    public async Task<bool> FollowAsync(string path, string? token, TimeSpan longest, Action begun, Action<JsonElement> take, CancellationToken cancellationToken) =>
        await AskAsync(HttpMethod.Get, path, token, body: null, async (response, patience, stop) =>
        {
            patience.CancelAfter(longest);
            begun();
            await ReadLinesAsync(response, take, patience.Token, stop).ConfigureAwait(false);
            return response;
        }, cancellationToken).ConfigureAwait(false) is not null;

    public void Dispose()
    {
        _http.Dispose();
        _places.Dispose();
    }

    private async Task<T?> AskAsync<T>(
        HttpMethod method, string path, string? token, string? body, Func<HttpResponseMessage, CancellationTokenSource, CancellationToken, Task<T>> read, CancellationToken cancellationToken)
        where T : class
    {
        using var patience = new CancellationTokenSource(_limits.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        var hasPlace = false;
        try
        {
            await _places.WaitAsync(either.Token).ConfigureAwait(false);
            hasPlace = true;
            using var request = new HttpRequestMessage(method, new Uri(_base, path));
            request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
            request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
            using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            return response.StatusCode switch
            {
                HttpStatusCode.OK or HttpStatusCode.Created => await read(response, patience, either.Token).ConfigureAwait(false),
                HttpStatusCode.NotFound => null,
                var status => throw new JsonApiException($"{_name} answered {(int)status} to {method} {path}") { Status = status },
            };
        }
        catch (Exception e) when (e is HttpRequestException or IOException or FormatException or JsonException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new JsonApiException(
                patience.IsCancellationRequested ? $"{_name} did not answer within {_limits.Timeout.TotalSeconds} s"
                : e is HttpRequestException && _problem() is { Length: > 0 } problem ? $"{_name}: {problem}"
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

    private async Task<JsonDocument> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.Content.Headers.ContentLength > _limits.MaxBytes)
        {
            throw TooLong();
        }

        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using var ended = body.ConfigureAwait(false);
        using var whole = new MemoryStream();
        var piece = new byte[PieceBytes];
        int read;
        while ((read = await body.ReadAsync(piece, cancellationToken).ConfigureAwait(false)) > 0)
        {
            whole.Write(piece, 0, whole.Length + read <= _limits.MaxBytes ? read : throw TooLong());
        }

        return JsonDocument.Parse(whole.GetBuffer().AsMemory(0, (int)whole.Length), Options);
    }

    private async Task ReadLinesAsync(HttpResponseMessage response, Action<JsonElement> take, CancellationToken enough, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using var ended = body.ConfigureAwait(false);
        var piece = new byte[PieceBytes];
        using var line = new MemoryStream();
        try
        {
            int read;
            while ((read = await body.ReadAsync(piece, cancellationToken).ConfigureAwait(false)) > 0)
            {
                var rest = piece.AsMemory(0, read);
                for (int end; (end = rest.Span.IndexOf((byte)'\n')) >= 0; rest = rest[(end + 1)..])
                {
                    Keep(rest.Span[..end]);
                    if (line.Length > 0)
                    {
                        using var document = JsonDocument.Parse(line.GetBuffer().AsMemory(0, (int)line.Length), Options);
                        take(document.RootElement);
                        line.SetLength(0);
                    }
                }

                Keep(rest.Span);
            }
        }
        catch (OperationCanceledException) when (enough.IsCancellationRequested)
        {
            return;
        }

        if (line.Length > 0)
        {
            throw new IOException("the answer was cut within a line");
        }

        void Keep(ReadOnlySpan<byte> more)
        {
            if (line.Length + more.Length > _limits.MaxBytes)
            {
                throw TooLong();
            }

            line.Write(more);
        }
    }

    private JsonApiException TooLong() => new($"{_name} gave an answer that is longer than {_limits.MaxBytes} bytes");
}
