using System.Globalization;
using Signet.Hosting;
using Signet.Hosting.Http;
using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>
/// Finds what the kubelet says of the pod and container of a process: <c>k8s:ns</c>, <c>sa</c>, <c>pod-label</c>, <c>container-name</c>, <c>pod-image</c> and what else SPIRE's attestor
/// of that name finds. A container that has just begun may not be known yet; it is waited for.
/// </summary>
internal sealed class K8sAttestor(KubeletConfig config, Kubelet kubelet, ProcFolder proc, TimeProvider time, Func<double> chance) : IWorkloadAttestor, IDisposable
{
    public const string Type = "k8s";

    private static readonly BackoffRule Pause = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(2));

    private readonly IReadOnlyList<string>? _root = config.CgroupRoot?.Split('/', StringSplitOptions.RemoveEmptyEntries);

    public string Name => Type;

    public async Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken)
    {
        try
        {
            if (!ContainerPlaces.TryFindOfPod(CgroupPaths.Of(proc, process.Pid), CgroupPaths.OfAgent(proc), _root, out var place, out var problem))
            {
                return WorkloadVerdict.Failed(problem);
            }

            return place is null ? WorkloadVerdict.Nothing : await WaitForAsync(place, process, cancellationToken).ConfigureAwait(false);
        }
        catch (JsonApiException e)
        {
            return WorkloadVerdict.Failed(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return WorkloadVerdict.Failed($"the cgroup of the process cannot be read: {e.Message}");
        }
    }

    public void Dispose() => kubelet.Dispose();

    private async Task<WorkloadVerdict> WaitForAsync(ContainerPlace place, WorkloadProcess process, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var pause = new Backoff(Pause, chance);
        while (true)
        {
            if (PodDecision.Of(await kubelet.PodsAsync(cancellationToken).ConfigureAwait(false), place, config.ContainerSelectors) is { } verdict)
            {
                return verdict;
            }

            var wait = pause.Next();
            if (time.GetElapsedTime(began) + wait > config.Patience)
            {
                return WorkloadVerdict.Failed($"the kubelet knows no container {place.Id}{(place.PodUid is { } uid ? $" in pod {uid}" : "")}, also after {config.Patience.TotalSeconds} s");
            }

            if (!process.IsAlive())
            {
                return WorkloadVerdict.Failed("the process has ended");
            }

            await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
        }
    }
}

/// <summary>What the pods of a node say of a container. Pure.</summary>
internal static class PodDecision
{
    /// <returns>Null while none of them has it.</returns>
    public static WorkloadVerdict? Of(IReadOnlyList<Pod> pods, ContainerPlace place, bool containerSelectors)
    {
        var candidates = pods.Where(pod => pod.Uid.Length > 0 && (place.PodUid is null || pod.Uid == place.PodUid)).ToArray();
        var holders = candidates.Where(pod => ContainerOf(pod, place) is not null).ToArray();
        return holders switch
        {
            [var pod] => new WorkloadVerdict(SelectorsOf(pod, containerSelectors ? ContainerOf(pod, place) : null), ""),
            [] => !containerSelectors && place.PodUid is not null && candidates is [var known] ? new WorkloadVerdict(SelectorsOf(known, container: null), "") : null,
            _ => WorkloadVerdict.Failed($"the kubelet says that container {place.Id} is in {holders.Length} pods"),
        };
    }

    private static PodContainer? ContainerOf(Pod pod, ContainerPlace place) => pod.Containers.Concat(pod.InitContainers).FirstOrDefault(container => container.Id == place.Id);

    private static HashSet<Selector> SelectorsOf(Pod pod, PodContainer? container)
    {
        var values = new List<string>
        {
            $"sa:{pod.ServiceAccount}",
            $"ns:{pod.Space}",
            $"node-name:{pod.Node}",
            $"pod-uid:{pod.Uid}",
            $"pod-name:{pod.Name}",
            string.Create(CultureInfo.InvariantCulture, $"pod-image-count:{pod.Containers.Length}"),
            string.Create(CultureInfo.InvariantCulture, $"pod-init-image-count:{pod.InitContainers.Length}"),
        };
        values.AddRange(pod.Containers.SelectMany(one => one.Images).Select(image => $"pod-image:{image}"));
        values.AddRange(pod.InitContainers.SelectMany(one => one.Images).Select(image => $"pod-init-image:{image}"));
        values.AddRange(pod.Labels.Select(label => $"pod-label:{label.Key}:{label.Value}"));
        values.AddRange(pod.Owners.SelectMany(owner => new[] { $"pod-owner:{owner.Kind}:{owner.Name}", $"pod-owner-uid:{owner.Kind}:{owner.Uid}" }));
        if (container is not null)
        {
            values.Add($"container-name:{container.Name}");
            values.AddRange(container.Images.Select(image => $"container-image:{image}"));
        }

        return [.. values.Select(value => new Selector(K8sAttestor.Type, value))];
    }
}
