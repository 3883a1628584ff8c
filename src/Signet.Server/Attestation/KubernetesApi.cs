using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Signet.Client.Tls;
using Signet.Hosting;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Attestation;

/// <summary>
/// The little of Kubernetes' API that attestation needs, over HTTPS. Its token and its authorities are read from their files for each connection and call, since both are replaced while
/// the server runs. Answers are bounded; no redirects, no proxies. Thread-safe.
/// </summary>
internal sealed class KubernetesApi : IDisposable
{
    private const string PodNameKey = "authentication.kubernetes.io/pod-name";
    private const string PodUidKey = "authentication.kubernetes.io/pod-uid";
    private const int MaxAnswerBytes = 1024 * 1024;
    private const int MaxConnections = 8;
    private const int MaxHeadKilobytes = 16;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 64 };

    private readonly K8sClusterConfig _config;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _http;
    private volatile string _serverProblem = "";

    public KubernetesApi(K8sClusterConfig config, TimeProvider time)
    {
        (_config, _time) = (config, time);
        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.SslOptions = SvidTls.Client(credential: null, config.Server.Host, JudgeServer);
        handler.MaxConnectionsPerServer = MaxConnections;
        handler.PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1);
        handler.PooledConnectionLifetime = TimeSpan.FromMinutes(10);
        _http = new HttpMessageInvoker(handler);
    }

    /// <exception cref="KubernetesException">It cannot be asked.</exception>
    public async Task<TokenReview> ReviewAsync(string token, IReadOnlyList<string> audiences, CancellationToken cancellationToken)
    {
        var body = new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenReview",
            ["spec"] = new JsonObject { ["token"] = token, ["audiences"] = new JsonArray([.. audiences.Select(audience => JsonValue.Create(audience))]) },
        };
        using var answer = await AskAsync(HttpMethod.Post, "apis/authentication.k8s.io/v1/tokenreviews", body.ToJsonString(), cancellationToken).ConfigureAwait(false)
            ?? throw new KubernetesException("it knows no TokenReview");
        var status = Child(answer.RootElement, "status");
        var user = Child(status, "user");
        var extra = Child(user, "extra");
        return new TokenReview(
            status.ValueKind == JsonValueKind.Object && status.TryGetProperty("authenticated", out var authenticated) && authenticated.ValueKind == JsonValueKind.True,
            Printable.Of(Text(status, "error")),
            Texts(status, "audiences"),
            Text(user, "username"),
            Only(Texts(extra, PodNameKey)),
            Only(Texts(extra, PodUidKey)));
    }

    /// <returns>Null when there is no such pod.</returns>
    /// <exception cref="KubernetesException">It cannot be asked.</exception>
    public async Task<KubernetesPod?> FindPodAsync(string space, string name, CancellationToken cancellationToken)
    {
        using var answer = await AskAsync(HttpMethod.Get, $"api/v1/namespaces/{Uri.EscapeDataString(space)}/pods/{Uri.EscapeDataString(name)}", null, cancellationToken).ConfigureAwait(false);
        return answer is null
            ? null
            : new KubernetesPod(
                Text(Child(answer.RootElement, "metadata"), "uid"),
                Text(Child(answer.RootElement, "spec"), "nodeName"),
                Text(Child(answer.RootElement, "status"), "hostIP"),
                Labels(answer.RootElement));
    }

    /// <returns>Null when there is no such node.</returns>
    /// <exception cref="KubernetesException">It cannot be asked.</exception>
    public async Task<KubernetesNode?> FindNodeAsync(string name, CancellationToken cancellationToken)
    {
        using var answer = await AskAsync(HttpMethod.Get, $"api/v1/nodes/{Uri.EscapeDataString(name)}", null, cancellationToken).ConfigureAwait(false);
        return answer is null ? null : new KubernetesNode(Text(Child(answer.RootElement, "metadata"), "uid"), Labels(answer.RootElement));
    }

    public void Dispose() => _http.Dispose();

    /// <returns>Null for 404.</returns>
    private async Task<JsonDocument?> AskAsync(HttpMethod method, string path, string? body, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            using var request = new HttpRequestMessage(method, new Uri(_config.Server, path));
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", FileSet.Of(_config.TokenFile).Read()[0].Text.Trim());
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
            request.Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json");
            using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            return response.StatusCode switch
            {
                HttpStatusCode.OK or HttpStatusCode.Created => await ReadAsync(response, either.Token).ConfigureAwait(false),
                HttpStatusCode.NotFound => null,
                var status => throw new KubernetesException($"{_config.Server} answered {(int)status} to {method} {path}"),
            };
        }
        catch (Exception e) when (e is HttpRequestException or IOException or FormatException or JsonException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new KubernetesException(
                patience.IsCancellationRequested ? $"{_config.Server} did not answer within {Timeout.TotalSeconds} s"
                : e is HttpRequestException && _serverProblem is { Length: > 0 } problem ? $"{_config.Server}: {problem}"
                : $"{_config.Server}: {Printable.Of((e.InnerException ?? e).Message)}");
        }
    }

    private static async Task<JsonDocument> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var buffer = new byte[MaxAnswerBytes + 1];
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using var ended = stream.ConfigureAwait(false);
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return length < buffer.Length
            ? JsonDocument.Parse(buffer.AsMemory(0, length), Strict)
            : throw new KubernetesException($"its answer is longer than {MaxAnswerBytes} bytes");
    }

    private bool JudgeServer(IReadOnlyList<Certificate> presented, string problem)
    {
        try
        {
            var text = FileSet.Of(_config.CaFile).Read()[0].Text;
            if (problem.Length == 0 && presented.Count > 0 && Pem.TryReadCertificates(text, out var roots, out problem))
            {
                problem = PathValidator.Validate(new PathRequest
                {
                    Leaf = presented[0],
                    Intermediates = [.. presented.Skip(1)],
                    Roots = roots,
                    At = _time.GetUtcNow(),
                    Profile = PathProfile.Rfc5280,
                    Usage = CertificateUsage.Server,
                    DnsName = _config.Server.Host.Trim('[', ']'),
                }).Reason;
                _serverProblem = problem;
                return problem.Length == 0;
            }
        }
        catch (PlaceException e)
        {
            problem = e.Message;
        }

        _serverProblem = problem.Length > 0 ? problem : "it presented no certificate";
        return false;
    }

    private static JsonElement Child(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var child) ? child : default;

    private static string Text(JsonElement parent, string name) => Text(Child(parent, name));

    /// <summary>Empty for what is no text, or holds half of a surrogate pair.</summary>
    private static string Text(JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        }
        catch (InvalidOperationException)
        {
            return "";
        }
    }

    private static IReadOnlyList<string> Texts(JsonElement parent, string name) =>
        Child(parent, name) is { ValueKind: JsonValueKind.Array } list ? [.. list.EnumerateArray().Select(Text)] : [];

    private static string Only(IReadOnlyList<string> texts) => texts is [var only] ? only : "";

    private static IReadOnlyDictionary<string, string> Labels(JsonElement root) => Child(Child(root, "metadata"), "labels") is { ValueKind: JsonValueKind.Object } labels
        ? labels.EnumerateObject().DistinctBy(label => label.Name).ToDictionary(label => label.Name, label => Text(label.Value), StringComparer.Ordinal)
        : new Dictionary<string, string>(StringComparer.Ordinal);
}
