using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting.Configuration;

namespace Signet.Cli.Clients;

/// <summary>A proxy's admin endpoint, asked as a person would ask it. Every failure is a <see cref="CliError"/> that says what to do.</summary>
internal sealed class ProxyAdmin : IDisposable
{
    public const string DefaultEndPoint = "127.0.0.1:15000";

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly string _endPoint;

    // Whatever proxy the environment names for the web is not asked about this machine.
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, ConnectTimeout = Timeout }) { Timeout = System.Threading.Timeout.InfiniteTimeSpan };

    /// <exception cref="CliError">What is given is no host and port.</exception>
    public ProxyAdmin(string endPoint)
    {
        if (!EndPointText.TryParse(endPoint, out _, out var problem))
        {
            throw new CliError($"--admin: {problem}", $"for example: --admin {DefaultEndPoint}");
        }

        _endPoint = endPoint;
    }

    /// <summary>What is at a path.</summary>
    /// <param name="path">With its query.</param>
    /// <param name="orStatus">A status that is an answer too.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<JsonNode> GetAsync(string path, int orStatus, CancellationToken cancellationToken) => AskAsync(new HttpRequestMessage(HttpMethod.Get, Uri(path)), orStatus, cancellationToken);

    /// <inheritdoc cref="GetAsync(string, int, CancellationToken)"/>
    public Task<JsonNode> GetAsync(string path, CancellationToken cancellationToken) => GetAsync(path, 200, cancellationToken);

    /// <summary>Changes something.</summary>
    public Task<JsonNode> PostAsync(string path, JsonNode? body, CancellationToken cancellationToken) =>
        AskAsync(new HttpRequestMessage(HttpMethod.Post, Uri(path)) { Content = new StringContent(body?.ToJsonString() ?? "", Encoding.UTF8, "application/json") }, 202, cancellationToken);

    /// <summary>Lines of an answer that goes on, until it ends or the token fires.</summary>
    public async Task ReadLinesAsync(string path, Action<string> line, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await _http.SendAsync(new HttpRequestMessage(HttpMethod.Get, Uri(path)), HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            if ((int)answer.StatusCode != 200)
            {
                throw Refusal((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false));
            }

            using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false));
            while (await lines.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } one)
            {
                line(one);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw NotThere(e);
        }
    }

    public void Dispose() => _http.Dispose();

    private Uri Uri(string path) => new($"http://{_endPoint}{path}");

    private async Task<JsonNode> AskAsync(HttpRequestMessage request, int orStatus, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Timeout);
        try
        {
            using var answer = await _http.SendAsync(request, deadline.Token).ConfigureAwait(false);
            var text = await answer.Content.ReadAsStringAsync(deadline.Token).ConfigureAwait(false);
            if ((int)answer.StatusCode is var status && status != 200 && status != orStatus)
            {
                throw Refusal(status, text);
            }

            return JsonNode.Parse(text) ?? throw Stranger("it answered nothing");
        }
        catch (HttpRequestException e)
        {
            throw NotThere(e);
        }
        catch (JsonException)
        {
            throw Stranger("its answer is not JSON");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new CliError($"the proxy's admin endpoint {_endPoint} does not answer within {DurationText.Format(Timeout)}", "is it overloaded or suspended? its log says what it does");
        }
    }

    /// <summary>The endpoint's own words, when it has any.</summary>
    private CliError Refusal(int status, string text)
    {
        try
        {
            if (JsonNode.Parse(text) is JsonObject refusal && refusal["error"] is { } error)
            {
                return new CliError(error.ToString(), refusal["hint"]?.ToString() ?? "signet help proxy");
            }
        }
        catch (JsonException)
        {
            // Then it is no proxy of ours.
        }

        return Stranger($"it answered with status {status}");
    }

    private CliError NotThere(Exception e) => e.GetBaseException() is SocketException { SocketErrorCode: SocketError.ConnectionRefused }
        ? new CliError($"nothing listens at the proxy's admin endpoint {_endPoint}", "is the proxy running? its configuration says where it is under \"admin\"; name another place with --admin HOST:PORT")
        : new CliError($"the proxy's admin endpoint {_endPoint} cannot be asked: {e.GetBaseException().Message}", "its configuration says where it is under \"admin\"; name another place with --admin HOST:PORT");

    private CliError Stranger(string problem) => new($"{_endPoint} is no signet proxy's admin endpoint: {problem}", "the proxy's configuration says where it is under \"admin\"");
}
