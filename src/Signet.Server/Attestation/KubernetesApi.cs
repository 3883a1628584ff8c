using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Signet.Client.Tls;
using Signet.Hosting.Files;
using Signet.Hosting.Http;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>
/// The little of Kubernetes' API that attestation and the mesh need, over HTTPS. Its token and its authorities are read from their files for each connection and call, since both are replaced while
/// the server runs. Thread-safe.
/// </summary>
internal sealed class KubernetesApi : IDisposable
{
    private const string PodNameKey = "authentication.kubernetes.io/pod-name";
    private const string PodUidKey = "authentication.kubernetes.io/pod-uid";
    private static readonly JsonApiLimits Short = new(MaxBytes: 1024 * 1024, AtOnce: 8, TimeSpan.FromSeconds(10));
    private static readonly TimeSpan LeftAfter = TimeSpan.FromSeconds(15);

    private readonly K8sClusterConfig _config;
    private readonly JsonApi _api;

    /// <param name="config">Where it is, and how to show who asks.</param>
    /// <param name="time">The clock.</param>
    /// <param name="limits">How much is asked; null for what attestation needs, where answers are short.</param>
    public KubernetesApi(K8sClusterConfig config, TimeProvider time, JsonApiLimits? limits = null)
    {
        var authorities = new FileAuthorities(config.CaFile, config.Server.Host.Trim('[', ']'), time);
        _config = config;
        _api = JsonApi.OverNetwork(config.Server, SvidTls.Client(credential: null, config.Server.Host, authorities.Judge), () => authorities.Problem, limits ?? Short, time);
    }

    /// <exception cref="JsonApiException">It cannot be asked.</exception>
    public async Task<TokenReview> ReviewAsync(string token, IReadOnlyList<string> audiences, CancellationToken cancellationToken)
    {
        var body = new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenReview",
            ["spec"] = new JsonObject { ["token"] = token, ["audiences"] = new JsonArray([.. audiences.Select(audience => JsonValue.Create(audience))]) },
        };
        using var answer = await _api.PostAsync("apis/authentication.k8s.io/v1/tokenreviews", ReadToken(), body.ToJsonString(), cancellationToken).ConfigureAwait(false)
            ?? throw new JsonApiException("it knows no TokenReview");
        var status = answer.RootElement.Child("status");
        var user = status.Child("user");
        var extra = user.Child("extra");
        return new TokenReview(
            status.Child("authenticated").ValueKind == JsonValueKind.True,
            Printable.Of(status.Text("error")),
            Texts(status.Child("audiences")),
            user.Text("username"),
            Only(Texts(extra.Child(PodNameKey))),
            Only(Texts(extra.Child(PodUidKey))));
    }

    /// <returns>Null when there is no such pod.</returns>
    /// <exception cref="JsonApiException">It cannot be asked.</exception>
    public async Task<KubernetesPod?> FindPodAsync(string space, string name, CancellationToken cancellationToken)
    {
        using var answer = await _api.GetAsync($"api/v1/namespaces/{Uri.EscapeDataString(space)}/pods/{Uri.EscapeDataString(name)}", ReadToken(), cancellationToken).ConfigureAwait(false);
        return answer is null
            ? null
            : new KubernetesPod(
                answer.RootElement.Child("metadata").Text("uid"),
                answer.RootElement.Child("spec").Text("nodeName"),
                answer.RootElement.Child("status").Text("hostIP"),
                Labels(answer.RootElement));
    }

    /// <returns>Null when there is no such node.</returns>
    /// <exception cref="JsonApiException">It cannot be asked.</exception>
    public async Task<KubernetesNode?> FindNodeAsync(string name, CancellationToken cancellationToken)
    {
        using var answer = await _api.GetAsync($"api/v1/nodes/{Uri.EscapeDataString(name)}", ReadToken(), cancellationToken).ConfigureAwait(false);
        return answer is null ? null : new KubernetesNode(answer.RootElement.Child("metadata").Text("uid"), Labels(answer.RootElement));
    }

    /// <summary>A page of a list.</summary>
    /// <param name="path">The list.</param>
    /// <param name="page">At most so many.</param>
    /// <param name="more">From where the page before ended; empty for the first.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What the caller disposes; null when the cluster does not know the kind.</returns>
    /// <exception cref="JsonApiException">It cannot be asked.</exception>
    public Task<JsonDocument?> ListAsync(string path, int page, string more, CancellationToken cancellationToken) =>
        _api.GetAsync($"{path}?limit={page}{(more.Length > 0 ? "&continue=" + Uri.EscapeDataString(more) : "")}", ReadToken(), cancellationToken);

    /// <summary>What happens to a list from a version on, until the cluster ends it or for a time.</summary>
    /// <param name="path">The list.</param>
    /// <param name="version">The version.</param>
    /// <param name="longest">The time that the cluster is asked for; it is left a little later.</param>
    /// <param name="begun">Called once it has begun.</param>
    /// <param name="take">Gets each event.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>False when the cluster does not know the kind.</returns>
    /// <exception cref="JsonApiException">It cannot be asked, or was cut.</exception>
    public Task<bool> WatchAsync(string path, string version, TimeSpan longest, Action begun, Action<JsonElement> take, CancellationToken cancellationToken) => _api.FollowAsync(
        string.Create(CultureInfo.InvariantCulture, $"{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={(int)longest.TotalSeconds}&resourceVersion={Uri.EscapeDataString(version)}"),
        ReadToken(),
        longest + LeftAfter,
        begun,
        take,
        cancellationToken);

    public void Dispose() => _api.Dispose();

    private string ReadToken() => FileSet.Of(_config.TokenFile).Read()[0].Text.Trim();

    private static IReadOnlyList<string> Texts(JsonElement list) => [.. list.Items().Select(item => item.Text())];

    private static string Only(IReadOnlyList<string> texts) => texts is [var only] ? only : "";

    private static IReadOnlyDictionary<string, string> Labels(JsonElement root) =>
        root.Child("metadata").Child("labels").Texts().ToDictionary(label => label.Name, label => label.Value, StringComparer.Ordinal);
}
