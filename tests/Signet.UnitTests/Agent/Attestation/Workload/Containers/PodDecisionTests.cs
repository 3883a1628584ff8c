using Signet.Agent.Attestation.Workload.Containers;

namespace Signet.UnitTests.Agent.Attestation.Workload.Containers;

public sealed class PodDecisionTests
{
    private static readonly string Id = new('a', 64);

    private static readonly Pod Web = new(
        "uid-1", "web-1", "shop", "web", "node-1",
        [("app", "web"), ("tier", "front")],
        [("ReplicaSet", "web", "rs-uid")],
        [new PodContainer(Id, "main", ["registry/web@sha256:1", "registry/web:1"]), new PodContainer(new('b', 64), "log", ["registry/log:2"])],
        [new PodContainer(new('c', 64), "init", ["registry/init:3"])]);

    [Fact]
    public void Pod_and_container_become_SPIREs_selectors() => Assert.Equal(
        [
            "k8s:container-image:registry/web:1", "k8s:container-image:registry/web@sha256:1", "k8s:container-name:main", "k8s:node-name:node-1", "k8s:ns:shop",
            "k8s:pod-image-count:2", "k8s:pod-image:registry/log:2", "k8s:pod-image:registry/web:1", "k8s:pod-image:registry/web@sha256:1", "k8s:pod-init-image-count:1",
            "k8s:pod-init-image:registry/init:3", "k8s:pod-label:app:web", "k8s:pod-label:tier:front", "k8s:pod-name:web-1", "k8s:pod-owner-uid:ReplicaSet:rs-uid",
            "k8s:pod-owner:ReplicaSet:web", "k8s:pod-uid:uid-1", "k8s:sa:web",
        ],
        PodDecision.Of([Web], Place("uid-1"), containerSelectors: true)!.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal));

    [Fact]
    public void An_init_container_is_a_container_too() => Assert.Contains(
        new Signet.Identity.Registration.Selector("k8s", "container-name:init"), PodDecision.Of([Web], Place("uid-1") with { Id = new('c', 64) }, containerSelectors: true)!.Selectors);

    [Fact]
    public void Without_the_pods_name_the_container_finds_its_pod() => Assert.True(PodDecision.Of([Web with { Uid = "uid-2", Containers = [] }, Web], Place(null), containerSelectors: true)!.IsAttested);

    [Fact]
    public void A_container_that_is_not_known_yet_is_waited_for() => Assert.Null(PodDecision.Of([Web with { Containers = [] }], Place("uid-1"), containerSelectors: true));

    [Fact]
    public void A_container_in_another_pod_than_its_cgroup_says_is_not_that_pods() => Assert.Null(PodDecision.Of([Web], Place("uid-2"), containerSelectors: true));

    [Fact]
    public void A_container_in_two_pods_is_nobodys() => Assert.Contains("is in 2 pods", PodDecision.Of([Web, Web with { Uid = "uid-2" }], Place(null), containerSelectors: true)!.Problem);

    [Fact]
    public void Without_selectors_of_containers_the_pod_is_enough()
    {
        var verdict = PodDecision.Of([Web with { Containers = [] }], Place("uid-1"), containerSelectors: false);
        Assert.True(verdict!.IsAttested);
        Assert.DoesNotContain(verdict.Selectors, selector => selector.Value.StartsWith("container-", StringComparison.Ordinal));
        Assert.Null(PodDecision.Of([Web with { Containers = [] }], Place(null), containerSelectors: false));
    }

    private static ContainerPlace Place(string? pod) => new(Id, pod, "/kubepods", "", User: null);
}
