using System.Text.Json;
using System.Text.Json.Nodes;
using Signet.Client.Tls;
using Signet.Hosting.Files;
using Signet.Hosting.Http;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>
/// The little of Kubernetes' API that attestation needs, over HTTPS. Its token and its authorities are read from their files for each connection and call, since both are replaced while
/// the server runs. Thread-safe.
/// </summary>
internal sealed class KubernetesApi : IDisposable
{
    private const string PodNameKey = "authentication.kubernetes.io/pod-name";
    private const string PodUidKey = "authentication.kubernetes.io/pod-uid";
    private static readonly JsonApiLimits Limits = new(MaxBytes: 1024 * 1024, AtOnce: 8, TimeSpan.FromSeconds(10));

    private readonly K8sClusterConfig _config;
    private readonly JsonApi _api;

    public KubernetesApi(K8sClusterConfig config, TimeProvider time)
    {
        var authorities = new FileAuthorities(config.CaFile, config.Server.Host.Trim('[', ']'), time);
        _config = config;
        _api = JsonApi.OverNetwork(config.Server, SvidTls.Client(credential: null, config.Server.Host, authorities.Judge), () => authorities.Problem, Limits, time);
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

    public void Dispose() => _api.Dispose();

    private string ReadToken() => FileSet.Of(_config.TokenFile).Read()[0].Text.Trim();

    private static IReadOnlyList<string> Texts(JsonElement list) => [.. list.Items().Select(item => item.Text())];

    private static string Only(IReadOnlyList<string> texts) => texts is [var only] ? only : "";

    private static IReadOnlyDictionary<string, string> Labels(JsonElement root) =>
        root.Child("metadata").Child("labels").Texts().ToDictionary(label => label.Name, label => label.Value, StringComparer.Ordinal);
}
