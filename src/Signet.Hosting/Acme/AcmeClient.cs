using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Acme;

/// <summary>The authority refused, or can't be understood; the message is safe to show.</summary>
/// <param name="message">What it said.</param>
/// <param name="retryAfter">How long it wants to be left alone; null when it did not say.</param>
public sealed class AcmeException(string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    public TimeSpan? RetryAfter => retryAfter;
}

/// <summary>An answer of the authority.</summary>
/// <param name="Text">The whole body.</param>
/// <param name="Location">Where what was made is.</param>
/// <param name="RetryAfter">When to look again.</param>
internal sealed record AcmeReply(string Text, Uri? Location, TimeSpan? RetryAfter)
{
    /// <summary>The body as an object.</summary>
    /// <exception cref="AcmeException">It is none.</exception>
    public JsonObject Body
    {
        get
        {
            try
            {
                return JsonNode.Parse(Text, documentOptions: new JsonDocumentOptions { MaxDepth = 16 }) as JsonObject ?? throw new AcmeException("it answered with what is not a JSON object");
            }
            catch (JsonException)
            {
                throw new AcmeException("it answered with what is not JSON");
            }
        }
    }
}

/// <summary>
/// Speaks with an ACME authority (RFC 8555 §6): every request signed, each with a fresh nonce, answers bounded in bytes and time, no redirects followed.
/// One caller at a time.
/// </summary>
internal sealed class AcmeClient : IDisposable
{
    /// <summary>The longest answer, in bytes.</summary>
    public const int MaxBytes = 256 * 1024;

    /// <summary>How often a nonce may be refused in a row (§6.5).</summary>
    public const int MaxNonces = 24;

    private const int MaxHeadKilobytes = 16;
    private const string BadNonce = "urn:ietf:params:acme:error:badNonce";
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromDays(1);
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly HttpMessageInvoker _http;
    private readonly AcmeKey _key;
    private readonly TimeProvider _time;
    private readonly Uri _directory;
    private JsonObject? _resources;
    private string? _nonce;
    private Uri? _account;

    /// <param name="config">Where it is, and who may stand behind it.</param>
    /// <param name="key">The account's; the caller keeps it.</param>
    /// <param name="time">The clock.</param>
    public AcmeClient(AcmeConfig config, AcmeKey key, TimeProvider time)
    {
        (_directory, _key, _time) = (config.Directory, key, time);
        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.SslOptions = StrictHttpHandler.WebTls(config.Roots is { } roots ? [.. roots.Select(root => X509CertificateLoader.LoadCertificate(root.Der.Span))] : null);
        handler.MaxResponseDrainSize = 0;
        _http = new HttpMessageInvoker(handler);
    }

    /// <summary>Whether a URL may be asked at all.</summary>
    public static bool IsFit(Uri url) => url.IsAbsoluteUri && url.Scheme == Uri.UriSchemeHttps && url.UserInfo.Length == 0;

    /// <summary>What the authority has at a name of its directory (§7.1.1).</summary>
    /// <exception cref="AcmeException">It has no such thing, or no directory.</exception>
    public async Task<Uri> ResourceAsync(string name, CancellationToken cancellationToken) => Url(await DirectoryAsync(cancellationToken).ConfigureAwait(false), name);

    /// <summary>The address of the authority's terms of service; null when it has none.</summary>
    public async Task<string?> TermsAsync(CancellationToken cancellationToken) =>
        (await DirectoryAsync(cancellationToken).ConfigureAwait(false))["meta"] is JsonObject meta ? Text(meta, "termsOfService") : null;

    /// <summary>Signs with the account from now on.</summary>
    public void UseAccount(Uri account) => _account = account;

    /// <summary>A signed request; without a payload it reads (§6.3).</summary>
    /// <exception cref="AcmeException">It was refused, or what came back can't be understood.</exception>
    public async Task<AcmeReply> PostAsync(Uri url, JsonObject? payload, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var nonce = Interlocked.Exchange(ref _nonce, null) ?? await NewNonceAsync(cancellationToken).ConfigureAwait(false);
            var header = new JsonObject { ["alg"] = "ES256", ["nonce"] = nonce, ["url"] = url.AbsoluteUri };
            header[_account is null ? "jwk" : "kid"] = _account is null ? _key.ToJwk() : _account.AbsoluteUri;
            using var request = new HttpRequestMessage(HttpMethod.Post, url)
            {
                Content = new ByteArrayContent(Encoding.ASCII.GetBytes(_key.Sign(header, payload))) { Headers = { ContentType = new MediaTypeHeaderValue("application/jose+json") } },
            };
            var (status, reply) = await SendAsync(request, cancellationToken).ConfigureAwait(false);
            if ((int)status is >= 200 and < 300)
            {
                return reply;
            }

            var problem = ReadProblem(reply.Text);
            if (problem.Type != BadNonce || attempt == MaxNonces)
            {
                throw new AcmeException($"it answered {(int)status} to {Printable.Of(url.AbsolutePath)}: {problem.Detail}", reply.RetryAfter);
            }
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>A text of an object; null when there is none.</summary>
    public static string? Text(JsonObject body, string key) => body[key] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    /// <summary>A URL in an object.</summary>
    /// <exception cref="AcmeException">There is none that may be asked.</exception>
    public static Uri Url(JsonObject body, string key) =>
        Uri.TryCreate(Text(body, key), UriKind.Absolute, out var url) && IsFit(url) ? url : throw new AcmeException($"it answered without an https URL under \"{key}\"");

    /// <summary>What a problem document (RFC 9457) says, with what stands below it.</summary>
    public static string Explain(JsonNode? problem)
    {
        if (problem is not JsonObject body)
        {
            return "it gave no reason";
        }

        var below = body["subproblems"] is JsonArray many ? string.Concat(many.OfType<JsonObject>().Take(5).Select(one => $"; {Text(one, "detail")}")) : "";
        return Printable.Of($"{Text(body, "detail") ?? "it gave no reason"} ({Text(body, "type") ?? "no type"}){below}");
    }

    private async Task<JsonObject> DirectoryAsync(CancellationToken cancellationToken)
    {
        if (_resources is null)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, _directory);
            var (status, reply) = await SendAsync(request, cancellationToken).ConfigureAwait(false);
            _resources = status == HttpStatusCode.OK ? reply.Body : throw new AcmeException($"its directory answered {(int)status}", reply.RetryAfter);
        }

        return _resources;
    }

    private async Task<string> NewNonceAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, await ResourceAsync("newNonce", cancellationToken).ConfigureAwait(false));
        await SendAsync(request, cancellationToken).ConfigureAwait(false);
        return Interlocked.Exchange(ref _nonce, null) ?? throw new AcmeException("it gave no nonce");
    }

    private async Task<(HttpStatusCode Status, AcmeReply Reply)> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.Headers.TryAddWithoutValidation("User-Agent", "signet");
        using var patience = new CancellationTokenSource(CallTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            _nonce = response.Headers.TryGetValues("Replay-Nonce", out var nonces) ? nonces.First() : _nonce;
            var text = request.Method == HttpMethod.Head ? "" : await ReadAsync(response.Content, either.Token).ConfigureAwait(false);
            return (response.StatusCode, new AcmeReply(text, response.Headers.Location, RetryAfter(response)));
        }
        catch (Exception e) when (e is not AcmeException && !cancellationToken.IsCancellationRequested)
        {
            throw new AcmeException(
                patience.IsCancellationRequested ? $"it did not answer within {CallTimeout.TotalSeconds} s" : $"{Printable.Of(request.RequestUri!.Authority)} can't be asked: {Printable.Of((e.InnerException ?? e).Message)}", inner: e);
        }
    }

    private static async Task<string> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        using var stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var body = new byte[(int)Math.Min(content.Headers.ContentLength ?? MaxBytes, MaxBytes) + 1];
        var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return length <= MaxBytes && length < body.Length ? StrictUtf8.GetString(body, 0, length) : throw new AcmeException($"it answered with more than {MaxBytes} bytes");
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        var wait = response.Headers.RetryAfter?.Delta ?? response.Headers.RetryAfter?.Date - _time.GetUtcNow();
        return wait is not { } some ? null : some < TimeSpan.Zero ? TimeSpan.Zero : some > LongestRetry ? LongestRetry : some;
    }

    private static (string? Type, string Detail) ReadProblem(string text)
    {
        try
        {
            var body = JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { MaxDepth = 16 }) as JsonObject;
            return (body is null ? null : Text(body, "type"), Explain(body));
        }
        catch (JsonException)
        {
            return (null, "it gave no reason");
        }
    }
}
