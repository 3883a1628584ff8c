using FsCheck;
using FsCheck.Fluent;
using Signet.Agent.Attestation.Workload.Containers;

namespace Signet.UnitTests.Agent.Attestation.Workload.Containers;

/// <summary>The ways in which engines, runtimes and service managers write where a container is.</summary>
public sealed class ContainerPlacesTests
{
    private const string A = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961";
    private const string B = "3b6f0e3f6a5d4c1b2a998877665544332211ffeeddccbbaa0099887766554433";
    private const string Pod = "2c48913c-b29f-11e7-9350-020968147796";
    private const string Pod_ = "2c48913c_b29f_11e7_9350_020968147796";
    private const string Other = "00000000-0000-4000-8000-000000000002";
    private const string StaticPod = "5f1b0a3c8e7d6b5a4f3e2d1c0b9a8f7e";

    public static TheoryData<string, string, string> Pods { get; } = new()
    {
        { "cgroupfs, version 1", $"11:memory:/kubepods/besteffort/pod{Pod}/{A}\n10:freezer:/kubepods/besteffort/pod{Pod}/{A}\n1:name=systemd:/kubepods/besteffort/pod{Pod}/{A}", Pod },
        { "cgroupfs, version 2", $"0::/kubepods/burstable/pod{Pod}/{A}", Pod },
        { "cgroupfs, guaranteed", $"0::/kubepods/pod{Pod}/{A}", Pod },
        { "systemd, containerd", $"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{Pod_}.slice/cri-containerd-{A}.scope", Pod },
        { "systemd, CRI-O", $"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{Pod_}.slice/crio-{A}.scope", Pod },
        { "systemd, CRI-O, a container that is a machine of its own", $"0::/kubepods.slice/kubepods-pod{Pod_}.slice/crio-{A}.scope/container/init.scope", Pod },
        { "systemd, Docker", $"0::/kubepods.slice/kubepods-pod{Pod_}.slice/docker-{A}.scope", Pod },
        { "systemd, guaranteed", $"0::/kubepods.slice/kubepods-pod{Pod_}.slice/cri-containerd-{A}.scope", Pod },
        { "static pod", $"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{StaticPod}.slice/cri-containerd-{A}.scope", StaticPod },
        { "kubelet by systemd, containerd not", $"11:devices:/system.slice/containerd.service/kubepods-burstable-pod{Pod_}.slice:cri-containerd:{A}", Pod },
        { "the same at the root", $"0::/kubepods-besteffort-pod{Pod_}.slice:cri-containerd:{A}", Pod },
        { "kind", $"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{Pod_}.slice/cri-containerd-{A}.scope", Pod },
        { "kind, version 1, where the agent is", $"5:cpu:/docker/{B}/kubepods/besteffort/pod{Pod}/{A}\n0::/docker/{B}/system.slice/containerd.service", Pod },
        { "kind, older", $"0::/kubelet/kubepods/besteffort/pod{Pod}/{A}", Pod },
        { "seen from another pod, cgroupfs", $"0::/../../pod{Pod}/{A}", Pod },
        { "seen from another pod of another class", $"0::/../../../besteffort/pod{Pod}/{A}", Pod },
        { "seen from another pod, systemd", $"0::/../../../kubepods-besteffort.slice/kubepods-besteffort-pod{Pod_}.slice/cri-containerd-{A}.scope", Pod },
        { "seen from its own pod", $"0::/../{A}", "" },
        { "seen from its own pod, systemd", $"0::/../cri-containerd-{A}.scope", "" },
        { "a container in a container", $"0::/kubepods/besteffort/pod{Pod}/{A}/kubepods/besteffort/pod{Other}/{B}", Pod },
        { "a container that calls a group of its own like another's", $"0::/kubepods.slice/kubepods-pod{Pod_}.slice/cri-containerd-{A}.scope/kubepods.slice/kubepods-pod{Other.Replace('-', '_')}.slice/cri-containerd-{B}.scope", Pod },
        { "Docker in a pod", $"0::/kubepods/besteffort/pod{Pod}/{A}/docker/{B}", Pod },
        { "hierarchies that name none", $"12:cpuset:/\n11:memory:/kubepods/pod{Pod}/{A}\n1:name=systemd:/system.slice/x.service", Pod },
    };

    [Theory]
    [MemberData(nameof(Pods))]
    public void A_pods_container_is_found(string how, string cgroup, string pod)
    {
        var own = how.Contains("where the agent is", StringComparison.Ordinal) ? $"5:cpu:/docker/{B}/kubepods/besteffort/pod{Other}/{new string('c', 64)}" : "0::/system.slice/signet-agent.service";
        Assert.True(ContainerPlaces.TryFindOfPod(Parse(cgroup), Parse(own), root: null, out var place, out var problem), problem);
        Assert.NotNull(place);
        Assert.Equal((A, pod), (place.Id, place.PodUid ?? ""));
    }

    public static TheoryData<string, string> NoPods { get; } = new()
    {
        { "a service", "0::/system.slice/nginx.service" },
        { "a session", "0::/user.slice/user-1000.slice/session-3.scope" },
        { "the root", "0::/" },
        { "the pod's own group", $"0::/kubepods/besteffort/pod{Pod}" },
        { "Docker without Kubernetes", $"0::/system.slice/docker-{A}.scope" },
        { "a user's group that is called like a pod's", $"0::/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-pod{Pod_}.slice/cri-containerd-{A}.scope" },
        { "a service's group that is called like a pod's", $"0::/system.slice/app.service/kubepods/besteffort/pod{Pod}/{A}" },
        { "a service's group that is called like a runtime's", $"0::/system.slice/app.service/containerd.service/kubepods-pod{Pod_}.slice:cri-containerd:{A}" },
        { "a Docker container's group, where the agent is not", $"0::/docker/{B}/kubepods/besteffort/pod{Pod}/{A}" },
        { "what watches a container", $"0::/kubepods.slice/kubepods-pod{Pod_}.slice/crio-conmon-{A}.scope" },
        { "above the agent's namespace, but a user's", $"0::/../../../user.slice/user-1000.slice/user@1000.service/pod{Pod}/{A}" },
        { "a group that is gone", $"0::/kubepods/pod{Pod}/{A} (deleted)" },
        { "capitals", $"0::/kubepods/pod{Pod}/{A.ToUpperInvariant()}" },
        { "too short", $"0::/kubepods/pod{Pod}/{A[..63]}" },
        { "too long", $"0::/kubepods/pod{Pod}/{A}0" },
        { "no pod", $"0::/kubepods/besteffort/{A}" },
    };

    [Theory]
    [MemberData(nameof(NoPods))]
    public void What_is_not_a_pods_container_is_not_taken_for_one(string how, string cgroup)
    {
        Assert.True(ContainerPlaces.TryFindOfPod(Parse(cgroup), Parse("0::/system.slice/signet-agent.service"), root: null, out var place, out var problem), problem);
        Assert.True(place is null, how);
    }

    [Fact]
    public void A_root_of_the_kubelets_own_is_believed_and_then_no_other()
    {
        Assert.True(ContainerPlaces.TryFindOfPod(Parse($"0::/custom/root/kubepods/pod{Pod}/{A}"), [], ["custom", "root"], out var place, out _));
        Assert.Equal(A, place?.Id);
        Assert.True(ContainerPlaces.TryFindOfPod(Parse($"0::/custom/root/kubepods/pod{Pod}/{A}"), [], root: null, out place, out _));
        Assert.Null(place);
        Assert.True(ContainerPlaces.TryFindOfPod(Parse($"0::/kubepods/pod{Pod}/{A}"), [], ["custom", "root"], out place, out _));
        Assert.Null(place);
    }

    [Theory]
    [InlineData($"2:cpu:/kubepods/pod{Pod}/{A}\n1:memory:/kubepods/pod{Pod}/{B}")]
    [InlineData($"2:cpu:/kubepods/pod{Pod}/{A}\n1:memory:/kubepods/pod{Other}/{A}")]
    public void Hierarchies_that_disagree_are_nobodys(string cgroup)
    {
        Assert.False(ContainerPlaces.TryFindOfPod(Parse(cgroup), [], root: null, out var place, out var problem) && place is not null);
        Assert.Contains("name two containers", problem);
    }

    public static TheoryData<string, string, string, string> Engines { get; } = new()
    {
        { $"0::/system.slice/docker-{A}.scope", "docker", "", $"/system.slice/docker-{A}.scope" },
        { $"11:memory:/docker/{A}\n1:name=systemd:/docker/{A}", "", "", $"/docker/{A}" },
        { $"0::/docker/{A}/init.scope", "", "", $"/docker/{A}" },
        { $"0::/docker/{A}/docker/{B}", "", "", $"/docker/{A}" },
        { $"0::/custom.slice/docker-{A}.scope/system.slice/docker-{B}.scope", "docker", "", $"/custom.slice/docker-{A}.scope" },
        { $"0::/machine.slice/libpod-{A}.scope/container", "libpod", "", $"/machine.slice/libpod-{A}.scope" },
        { $"0::/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope", "libpod", "", $"/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope" },
        { $"0::/libpod_parent/libpod-{A}", "libpod", "", $"/libpod_parent/libpod-{A}" },
        { $"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container", "libpod", "1000", $"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope" },
        { $"0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{A}.scope", "docker", "1000", $"/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{A}.scope" },
        { $"0::/ecs/0123456789abcdef/{A}", "", "", $"/ecs/0123456789abcdef/{A}" },
        { $"0::/kubepods.slice/kubepods-pod{Pod_}.slice/cri-containerd-{A}.scope", "cri-containerd", "", $"/kubepods.slice/kubepods-pod{Pod_}.slice/cri-containerd-{A}.scope" },
    };

    [Theory]
    [MemberData(nameof(Engines))]
    public void An_engines_container_is_the_outermost(string cgroup, string engine, string user, string scope)
    {
        Assert.True(ContainerPlaces.TryFindOfEngine(Parse(cgroup), out var place, out var problem), problem);
        Assert.NotNull(place);
        Assert.Equal((A, engine, user, scope), (place.Id, place.Engine, place.User?.ToString() ?? "", place.Scope));
    }

    [Theory]
    [InlineData("0::/system.slice/nginx.service")]
    [InlineData($"0::/machine.slice/libpod-conmon-{A}.scope")]
    [InlineData($"0::/machine.slice/machine-libpod_pod_{A}.slice")]
    public void Without_a_container_there_is_none(string cgroup)
    {
        Assert.True(ContainerPlaces.TryFindOfEngine(Parse(cgroup), out var place, out _));
        Assert.Null(place);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("0:/x")]
    [InlineData("x::/y")]
    [InlineData("-1::/y")]
    [InlineData("0::y")]
    public void What_no_kernel_writes_is_a_problem(string text)
    {
        Assert.False(CgroupPaths.TryParse(text, out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void Endless_lists_are_a_problem() => Assert.False(CgroupPaths.TryParse(string.Concat(Enumerable.Repeat("0::/x\n", 65)), out _, out _));

    [Fact]
    public void A_colon_belongs_to_the_path() => Assert.Equal("/a:b/c", Parse("0::/a:b/c").Single().ToString());

    [Fact]
    public void Whatever_a_container_calls_what_is_below_it_changes_nothing() => Prop.ForAll(ArbMap.Default.ArbFor<string[]>(), below =>
    {
        var path = $"0::/kubepods/besteffort/pod{Pod}/{A}/{string.Join('/', below.OfType<string>().Select(name => name.Replace("\n", "")))}";
        return CgroupPaths.TryParse(path, out var paths, out _)
            && ContainerPlaces.TryFindOfPod(paths, [], root: null, out var place, out _) && (place?.Id, place?.PodUid) == (A, Pod)
            && ContainerPlaces.TryFindOfEngine(paths, out var engines, out _) && engines?.Id == A;
    }).QuickCheckThrowOnFailure();

    private static IReadOnlyList<CgroupPath> Parse(string text)
    {
        Assert.True(CgroupPaths.TryParse(text, out var paths, out var problem), problem);
        return paths;
    }
}
