using System.Collections.Immutable;
using System.Text.Json;
using Signet.Client.Tls;
using Signet.Hosting.Files;
using Signet.Identity.X509;

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
    private readonly LocalApi _api;
    private readonly SemaphoreSlim _asking = new(1, 1);
    private volatile string _serverProblem = "";
    private Answer? _last;

    public Kubelet(KubeletConfig config, TimeProvider time)
    {
        (_config, _time) = (config, time);
        var tls = config.Kubelet.Scheme == Uri.UriSchemeHttps ? SvidTls.Client(credential: null, config.NodeName ?? "", JudgeServer) : null;
        _api = LocalApi.OverNetwork(config.Kubelet, tls, MaxAnswerBytes, atOnce: 1, time);
    }

    /// <summary>The pods as they were at some moment after the question was put.</summary>
    /// <exception cref="LocalApiException">The kubelet cannot be asked.</exception>
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
        try
        {
            using var answer = await _api.GetAsync("pods", _config.Kubelet.Scheme == Uri.UriSchemeHttps ? ReadToken() : null, cancellationToken).ConfigureAwait(false)
                ?? throw new LocalApiException($"{_config.Kubelet} knows no /pods; is it the kubelet?");
            return answer.RootElement.Child("items") is { ValueKind: JsonValueKind.Array } items && items.GetArrayLength() <= MaxPods
                ? [.. items.EnumerateArray().Select(PodOf)]
                : throw new LocalApiException($"{_config.Kubelet} answered no list of at most {MaxPods} pods");
        }
        catch (LocalApiException e) when (_serverProblem.Length > 0)
        {
            throw new LocalApiException($"{e.Message} ({_serverProblem})");
        }
    }

    private string ReadToken()
    {
        try
        {
            var token = FileSet.Of(_config.TokenFile).Read()[0].Text.Trim();
            return token.Length is > 0 and <= MaxTokenLength && token.All(c => c is > ' ' and <= '~') ? token : throw new LocalApiException($"{_config.TokenFile} holds no token");
        }
        catch (PlaceException e)
        {
            throw new LocalApiException(e.Message);
        }
    }

    private bool JudgeServer(IReadOnlyList<Certificate> presented, string problem)
    {
        try
        {
            var text = FileSet.Of(_config.CaFile).Read()[0].Text;
            if (problem.Length == 0 && presented.Count > 0 && Pem.TryReadCertificates(text, out var roots, out problem))
            {
                problem = roots.Any(root => root.Der.Span.SequenceEqual(presented[0].Der.Span)) && presented[0].NotAfter > _time.GetUtcNow()
                    ? ""
                    : PathValidator.Validate(new PathRequest
                    {
                        Leaf = presented[0],
                        Intermediates = [.. presented.Skip(1)],
                        Roots = roots,
                        At = _time.GetUtcNow(),
                        Profile = PathProfile.Rfc5280,
                        Usage = CertificateUsage.Server,
                        DnsName = _config.NodeName,
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
