using System.Globalization;
using System.Text.RegularExpressions;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>In which container a process runs, as its control groups tell.</summary>
/// <param name="Id">64 hexadecimal digits.</param>
/// <param name="PodUid">The pod's UID; null where the path does not name it, or outside Kubernetes.</param>
/// <param name="Scope">The path down to the container's own group: what only the engine makes.</param>
/// <param name="Engine">The word that the engine writes before the ID, such as <c>docker</c>, <c>libpod</c> or <c>cri-containerd</c>; empty when there is none.</param>
/// <param name="User">The user in whose part of the tree it lies; null for the system's.</param>
internal sealed record ContainerPlace(string Id, string? PodUid, string Scope, string Engine, uint? User);

/// <summary>
/// Finds containers in the paths of control groups. A path grows from the root: what stands further in can be made by whoever is further out, so the
/// outermost container counts, and what is inside it (a container in a container, or a group that only calls itself one) means nothing.
/// </summary>
internal static partial class ContainerPlaces
{
    /// <summary>Services in whose group runtimes put pods when the kubelet and they do not go by the same driver.</summary>
    private static readonly HashSet<string> Runtimes = new(StringComparer.Ordinal)
    {
        "containerd.service", "crio.service", "docker.service", "cri-docker.service", "kubelet.service", "k3s.service", "k3s-agent.service", "rke2-server.service", "rke2-agent.service",
    };

    /// <summary>The container of an engine such as Docker, which knows its containers' processes and is asked about them.</summary>
    /// <param name="paths">Of the process.</param>
    /// <param name="place">The container; null when there is none.</param>
    /// <param name="problem">Why nobody can say, when the answer is false; otherwise empty.</param>
    public static bool TryFindOfEngine(IReadOnlyList<CgroupPath> paths, out ContainerPlace? place, out string problem) =>
        TryAgree(paths.Select(OfEngine), out place, out problem);

    /// <summary>
    /// The container of a pod. The kubelet cannot tell whose process one is, so the path must come from it: pods lie below <c>kubepods</c>, at the root, or
    /// where this agent itself lies, or below <paramref name="root"/>.
    /// </summary>
    /// <param name="paths">Of the process.</param>
    /// <param name="own">Of this agent.</param>
    /// <param name="root">The kubelet's <c>--cgroup-root</c>; null for the usual places.</param>
    /// <param name="place">The container; null when there is none.</param>
    /// <param name="problem">Why nobody can say, when the answer is false; otherwise empty.</param>
    public static bool TryFindOfPod(IReadOnlyList<CgroupPath> paths, IReadOnlyList<CgroupPath> own, IReadOnlyList<string>? root, out ContainerPlace? place, out string problem) =>
        TryAgree(paths.Select(path => OfPod(path, own.FirstOrDefault(one => one.Hierarchy == path.Hierarchy && one.Controllers == path.Controllers)?.Segments ?? [], root)), out place, out problem);

    // In version 1 a process lies in many hierarchies. Those that name no container mean nothing; those that name one must mean the same.
    private static bool TryAgree(IEnumerable<ContainerPlace?> found, out ContainerPlace? place, out string problem)
    {
        (place, problem) = (null, "");
        foreach (var one in found.OfType<ContainerPlace>())
        {
            if (place is null || (place.PodUid is null && one.PodUid is not null && one.Id == place.Id))
            {
                place = one;
            }
            else if (one.Id != place.Id || (one.PodUid is not null && one.PodUid != place.PodUid))
            {
                problem = $"its cgroups name two containers, {place.Id} and {one.Id}";
                return false;
            }
        }

        return true;
    }

    private static ContainerPlace? OfEngine(CgroupPath path)
    {
        for (var i = 0; i < path.Segments.Count; i++)
        {
            if (Container().Match(path.Segments[i]) is { Success: true } match)
            {
                return Place(path, i, match, podUid: null);
            }
        }

        return null;
    }

    private static ContainerPlace? OfPod(CgroupPath path, IReadOnlyList<string> own, IReadOnlyList<string>? root)
    {
        var segments = path.Segments;
        var above = segments.TakeWhile(segment => segment == "..").Count();
        var first = above;
        if (root is not null && above == 0)
        {
            if (!segments.Take(root.Count).SequenceEqual(root, StringComparer.Ordinal))
            {
                return null;
            }

            first = root.Count;
        }

        for (var i = first; i < segments.Count; i++)
        {
            // Pod and container in one name, as runtimes write it that do not know systemd's way.
            if (PodWithContainer().Match(segments[i]) is { Success: true } both)
            {
                return Place(path, i, both, UidOf(both.Groups["pod"].Value));
            }

            if (Pod().Match(segments[i]) is { Success: true } pod)
            {
                return i + 1 < segments.Count && Container().Match(segments[i + 1]) is { Success: true } inside ? Place(path, i + 1, inside, UidOf(pod.Groups["pod"].Value)) : null;
            }

            // A neighbour in the agent's own pod.
            if (above > 0 && i == above && Container().Match(segments[i]) is { Success: true } beside)
            {
                return Place(path, i, beside, podUid: null);
            }

            var agentIsThere = above == 0 && i < own.Count && segments.Take(i + 1).SequenceEqual(own.Take(i + 1), StringComparer.Ordinal);
            if (!agentIsThere && !IsTrunk(segments, i))
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>What stands above pods.</summary>
    private static bool IsTrunk(IReadOnlyList<string> segments, int i) =>
        segments[i] is "kubepods" or "besteffort" or "burstable" or "guaranteed" or "kubelet" or "kubelet.slice" || Slice().IsMatch(segments[i])
        || (segments[i] == "system.slice" && i + 1 < segments.Count && Runtimes.Contains(segments[i + 1])) || (i > 0 && segments[i - 1] == "system.slice" && Runtimes.Contains(segments[i]));

    private static ContainerPlace Place(CgroupPath path, int last, Match match, string? podUid) => new(
        match.Groups["id"].Value, podUid, "/" + string.Join('/', path.Segments.Take(last + 1)), match.Groups["engine"].Value, UserOf(path.Segments));

    // user.slice/user-UID.slice is made by the service manager only.
    private static uint? UserOf(IReadOnlyList<string> segments) =>
        segments is ["user.slice", var user, ..] && UserSlice().Match(user) is { Success: true } match && uint.TryParse(match.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var uid) ? uid : null;

    // systemd takes hyphens for levels of the tree, so underscores stand for them.
    private static string UidOf(string text) => text.Replace('_', '-');

    // What watches a container, conmon, is not in it.
    [GeneratedRegex(@"\A(?:(?<engine>[a-z0-9.]+(?:-[a-z0-9.]+)*)-)?(?<!conmon-)(?<id>[0-9a-f]{64})(?:\.scope)?\z")]
    private static partial Regex Container();

    [GeneratedRegex(@"\A(?:kubepods-(?:[a-z]+-)?|kubelet-kubepods-(?:[a-z]+-)?)?pod(?<pod>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?\z")]
    private static partial Regex Pod();

    [GeneratedRegex(@"\Akubepods-(?:[a-z]+-)?pod(?<pod>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})\.slice:(?<engine>[a-z0-9-]+):(?<id>[0-9a-f]{64})\z")]
    private static partial Regex PodWithContainer();

    [GeneratedRegex(@"\A(?:kubelet-)?kubepods(?:-besteffort|-burstable|-guaranteed)?\.slice\z")]
    private static partial Regex Slice();

    [GeneratedRegex(@"\Auser-([0-9]{1,10})\.slice\z")]
    private static partial Regex UserSlice();
}
