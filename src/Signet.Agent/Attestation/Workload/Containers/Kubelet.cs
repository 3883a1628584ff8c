using System.Collections.Immutable;
using System.Text.Json;
using Signet.Client.Tls;
using Signet.Hosting.Files;
using Signet.Hosting.Http;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>A container of a pod, as the kubelet knows it.</summary>
/// <param name="Id">64 hexadecimal digits; empty before it exists.</param>
/// <param name="Name">In its pod.</param>
/// <param name="Images">By name and by digest.</param>
internal sealed record PodContainer(string Id, string Name, ImmutableArray<string> Images);

/// <summary>A pod of this node, as the kubelet knows it.</summary>
internal sealed record Pod(
    string Uid,
    string Name,
    string Space,
    string ServiceAccount,
    string Node,
    ImmutableArray<(string Key, string Value)> Labels,
    ImmutableArray<(string Kind, string Name, string Uid)> Owners,
    ImmutableArray<PodContainer> Containers,
    ImmutableArray<PodContainer> InitContainers);

/// <summary>
/// Asks the kubelet which pods this node has (<c>GET /pods</c>). Many who ask at once share one answer. Thread-safe; whoever makes it disposes it.
/// </summary>
internal sealed class Kubelet : IDisposable
{
    /// <summary>The longest list of pods, in bytes: 110 pods, the usual most of a node, are about 2 MiB.</summary>
    public const int MaxAnswerBytes = 32 * 1024 * 1024;

    /// <summary>The most pods of a node that are looked at.</summary>
    public const int MaxPods = 10_000;

    private const int MaxTokenLength = 16 * 1024;

    private readonly KubeletConfig _config;
    private readonly TimeProvider _time;
    private readonly JsonApi _api;
    private readonly SemaphoreSlim _asking = new(1, 1);
    private Answer? _last;

    public Kubelet(KubeletConfig config, TimeProvider time)
    {
        (_config, _time) = (config, time);
        var authorities = new FileAuthorities(config.CaFile, config.NodeName, time);
        var tls = config.Kubelet.Scheme == Uri.UriSchemeHttps ? SvidTls.Client(credential: null, config.NodeName ?? "", authorities.Judge) : null;
        _api = JsonApi.OverNetwork(config.Kubelet, tls, () => authorities.Problem, new JsonApiLimits(MaxAnswerBytes, AtOnce: 1, TimeSpan.FromSeconds(5)), time);
    }

    /// <summary>The pods as they were at some moment after the question was put.</summary>
    /// <exception cref="JsonApiException">The kubelet cannot be asked.</exception>
    public async Task<IReadOnlyList<Pod>> PodsAsync(CancellationToken cancellationToken)
    {
        var asked = _time.GetTimestamp();
        await _asking.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_last is not { } last || last.AskedAt < asked)
            {
                _last = last = new Answer(_time.GetTimestamp(), await AskAsync(cancellationToken).ConfigureAwait(false));
            }

            return last.Pods;
        }
        finally
        {
            _asking.Release();
        }
    }

    public void Dispose()
    {
        _api.Dispose();
        _asking.Dispose();
    }

    private async Task<IReadOnlyList<Pod>> AskAsync(CancellationToken cancellationToken)
    {
        using var answer = await _api.GetAsync("pods", _config.Kubelet.Scheme == Uri.UriSchemeHttps ? ReadToken() : null, cancellationToken).ConfigureAwait(false)
            ?? throw new JsonApiException($"{_config.Kubelet} knows no /pods; is it the kubelet?");
        return answer.RootElement.Child("items") is { ValueKind: JsonValueKind.Array } items && items.GetArrayLength() <= MaxPods
            ? [.. items.EnumerateArray().Select(PodOf)]
            : throw new JsonApiException($"{_config.Kubelet} answered no list of at most {MaxPods} pods");
    }

    private string ReadToken()
    {
        try
        {
            var token = FileSet.Of(_config.TokenFile).Read()[0].Text.Trim();
            return token.Length is > 0 and <= MaxTokenLength && token.All(c => c is > ' ' and <= '~') ? token : throw new JsonApiException($"{_config.TokenFile} holds no token");
        }
        catch (PlaceException e)
        {
            throw new JsonApiException(e.Message);
        }
    }

    private static Pod PodOf(JsonElement pod)
    {
        var (metadata, spec, status) = (pod.Child("metadata"), pod.Child("spec"), pod.Child("status"));
        return new Pod(
            metadata.Text("uid"),
            metadata.Text("name"),
            metadata.Text("namespace"),
            spec.Text("serviceAccountName"),
            spec.Text("nodeName"),
            [.. metadata.Child("labels").Texts()],
            [.. metadata.Child("ownerReferences").Items().Select(owner => (owner.Text("kind"), owner.Text("name"), owner.Text("uid")))],
            [.. status.Child("containerStatuses").Items().Select(ContainerOf)],
            [.. status.Child("initContainerStatuses").Items().Select(ContainerOf)]);
    }

    // containerd://ID, cri-o://ID, docker://ID
    private static PodContainer ContainerOf(JsonElement container)
    {
        var id = container.Text("containerID");
        var separator = id.IndexOf("://", StringComparison.Ordinal);
        return new PodContainer(
            separator > 0 ? id[(separator + 3)..] : "",
            container.Text("name"),
            [.. new[] { container.Text("imageID"), container.Text("image") }.Where(image => image.Length > 0).Distinct(StringComparer.Ordinal)]);
    }

    private sealed record Answer(long AskedAt, IReadOnlyList<Pod> Pods);
}
