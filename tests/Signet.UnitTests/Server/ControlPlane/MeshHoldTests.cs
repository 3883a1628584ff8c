using Signet.Policy;
using Signet.Server.ControlPlane;

namespace Signet.UnitTests.Server.ControlPlane;

public sealed class MeshHoldTests
{
    private const string Root = "istio-system";

    [Fact]
    public void A_text_with_a_mistake_stays_as_it_was_and_those_of_other_namespaces_go_on()
    {
        var hold = Of([Text("a", "shop", 2), Text("b", "bank", 2)], [Text("a", "shop", 1), Text("b", "bank", 1)], "a")!;
        Assert.Equal([Text("a", "shop", 1), Text("b", "bank", 2)], Sorted(hold));
        Assert.Equal(["shop"], hold.Namespaces);
    }

    [Fact]
    public void What_is_removed_or_added_beside_the_mistake_waits_with_it()
    {
        // A policy was renamed, and its new text holds a mistake: neither may be all that there is.
        var hold = Of([Text("new", "shop", 2), Text("more", "shop", 1), Text("b", "bank", 2)], [Text("old", "shop", 1)], "new")!;
        Assert.Equal([Text("b", "bank", 2), Text("old", "shop", 1)], Sorted(hold));
    }

    [Fact]
    public void A_text_that_moves_from_one_namespace_to_another_ties_them_together()
    {
        var hold = Of([Text("a", "shop", 2), Text("b", "bank", 2), Text("c", "bank", 2), Text("d", "post", 2)], [Text("b", "shop", 1), Text("c", "bank", 1), Text("d", "post", 1)], "a")!;
        Assert.Equal([Text("b", "shop", 1), Text("c", "bank", 1), Text("d", "post", 2)], Sorted(hold));
        Assert.Equal(["bank", "shop"], hold.Namespaces.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_text_that_can_no_longer_be_read_belongs_where_it_belonged()
    {
        var hold = Of([new PolicyText("a", "kind: [broken"), Text("b", "bank", 2)], [Text("a", "shop", 1)], "a")!;
        Assert.Equal([Text("a", "shop", 1), Text("b", "bank", 2)], Sorted(hold));
    }

    [Fact]
    public void A_service_with_a_mistake_holds_no_policy_up()
    {
        var service = new PolicyText("s", "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: shop}}");
        var hold = Of([service, Text("a", "shop", 2)], [Text("a", "shop", 1)], "s")!;
        Assert.Equal([Text("a", "shop", 2)], hold.Texts);
        Assert.Empty(hold.Namespaces);
    }

    [Theory]
    [InlineData("istio-system", "a")]
    [InlineData("[shop]", "a")]
    [InlineData("shop", "")]
    [InlineData("shop", "mesh.yaml")]
    public void What_concerns_everybody_or_cannot_be_placed_leaves_everything_as_it_was(string ns, string broken) =>
        Assert.Null(Of([Text("a", ns, 2), Text("b", "bank", 2)], [], broken));

    [Fact]
    public void A_new_text_that_cannot_be_read_leaves_everything_as_it_was() =>
        Assert.Null(Of([new PolicyText("a", "kind: [broken"), Text("b", "bank", 2)], [Text("b", "bank", 1)], "a"));

    private static MeshHold? Of(PolicyText[] now, PolicyText[] before, params string[] broken) => MeshHold.Of(now, before, broken.ToHashSet(), Root);

    private static IEnumerable<PolicyText> Sorted(MeshHold hold) => hold.Texts.OrderBy(text => text.Name, StringComparer.Ordinal);

    private static PolicyText Text(string name, string ns, int version) =>
        new(name, $"{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: {name}, namespace: {ns}, annotations: {{version: \"{version}\"}}}}, spec: {{}}}}");
}
