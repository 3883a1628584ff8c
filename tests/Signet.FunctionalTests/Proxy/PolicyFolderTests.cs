using System.Net;
using Signet.Policy.Objects;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>A folder with many files, of which one changes.</summary>
public sealed class PolicyFolderTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";

    [Fact]
    public async Task Reads_only_the_file_that_changed_and_keeps_the_objects_of_the_others()
    {
        await using var world = await StartAsync();
        world.SetPolicy(Deny("one", "/one"), "one.yaml");
        world.SetPolicy(Deny("two", "/two"), "two.yaml");
        await HasAsync(world, "default/one", "default/two", "istio-system/mesh");
        var (mesh, one, two) = (Object(world, "istio-system/mesh"), Object(world, "default/one"), Object(world, "default/two"));

        world.SetPolicy(Deny("two", "/changed"), "two.yaml");
        await Eventually.IsTrueAsync(() => !ReferenceEquals(two, Object(world, "default/two")), "the changed file is read");

        Assert.Same(mesh, Object(world, "istio-system/mesh"));
        Assert.Same(one, Object(world, "default/one"));
        Assert.Contains("/changed", ((AuthorizationPolicy)Object(world, "default/two")!).Rules[0].Clauses.Single().ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_policies_of_a_removed_file_are_gone_and_those_of_the_others_stay()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        world.SetPolicy(Deny("one", "/a"), "one.yaml");
        world.SetPolicy(Deny("two", "/b"), "two.yaml");
        await HasAsync(world, "default/one", "default/two", "istio-system/mesh");
        var two = Object(world, "default/two");
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        Assert.Equal(403, (await web.AskAsync(Get)).Status);

        world.RemovePolicy("one.yaml");

        await HasAsync(world, "default/two", "istio-system/mesh");
        Assert.Same(two, Object(world, "default/two"));
        Assert.Equal(200, (await web.AskAsync(Get)).Status);
        Assert.Equal(403, (await web.AskAsync(Get.Replace("/a", "/b", StringComparison.Ordinal))).Status);
    }

    [Fact]
    public async Task A_file_that_breaks_denies_what_it_covers_and_the_rest_stays_in_force()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        world.SetPolicy(Deny("one", "/one"), "one.yaml");
        world.SetPolicy(Deny("two", "/two"), "two.yaml");
        await HasAsync(world, "default/one", "default/two", "istio-system/mesh");
        var one = Object(world, "default/one");
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        Assert.Equal(200, (await web.AskAsync(Get)).Status);

        world.SetPolicy(Deny("two", "/two").Replace("namespace: default", "namespace: elsewhere", StringComparison.Ordinal).Replace("rules:", "ruels:", StringComparison.Ordinal), "two.yaml");
        await HasAsync(world, "default/one", "elsewhere/two", "istio-system/mesh");
        Assert.Contains("ruels", world.Proxy.Model!.Problems[0].Message, StringComparison.Ordinal);
        Assert.Equal(200, (await web.AskAsync(Get)).Status);

        world.SetPolicy(Deny("two", "/two").Replace("rules:", "ruels:", StringComparison.Ordinal), "two.yaml");
        await HasAsync(world, "default/one", "default/two", "istio-system/mesh");
        Assert.Same(one, Object(world, "default/one"));
        Assert.Equal(403, (await web.AskAsync(Get)).Status);

        world.SetPolicy(Deny("two", "/two"), "two.yaml");
        await Eventually.IsTrueAsync(() => world.Proxy.Model!.Problems.Count == 0, "the mistake is mended");
        Assert.Equal(200, (await web.AskAsync(Get)).Status);
        Assert.Equal(403, (await web.AskAsync(Get.Replace("/a", "/one", StringComparison.Ordinal))).Status);
    }

    [Fact]
    public async Task Other_mesh_settings_read_all_files_again()
    {
        using var folder = new TestFolder();
        File.WriteAllText(folder.File("mesh.yaml"), "trustDomainAliases: []\n");
        await using var app = App.Http();
        await using var world = await StartAsync(app, folder.File("mesh.yaml"));
        world.SetPolicy(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: one, namespace: default}\n"
            + "spec: {action: DENY, rules: [{from: [{source: {principals: [\"old.example/ns/default/sa/web\"]}}]}]}\n",
            "one.yaml");
        await HasAsync(world, "default/one", "istio-system/mesh");
        var (mesh, one) = (Object(world, "istio-system/mesh"), Object(world, "default/one"));
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        Assert.Equal(200, (await web.AskAsync(Get)).Status);

        // At once: half of a file that is being written may be settings too.
        File.WriteAllText(folder.File("next.yaml"), "trustDomainAliases: [old.example]\n");
        File.Move(folder.File("next.yaml"), folder.File("mesh.yaml"), overwrite: true);

        await Eventually.IsTrueAsync(() => !ReferenceEquals(one, Object(world, "default/one")), "all files are read with the new settings");
        Assert.NotSame(mesh, Object(world, "istio-system/mesh"));
        Assert.Equal(403, (await web.AskAsync(Get)).Status);
    }

    private static Task<ProxyWorld> StartAsync(App? app = null, string? meshFile = null) => ProxyWorld.InboundAsync(
        app?.EndPoint ?? new IPEndPoint(IPAddress.Loopback, 1), ProxyWorld.Permissive, change: config => config with { MeshFile = meshFile });

    private static string Deny(string name, string path) =>
        $"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: default}}\nspec: {{action: DENY, rules: [{{to: [{{operation: {{paths: [{path}]}}}}]}}]}}\n";

    private static PolicyObject? Object(ProxyWorld world, string id) => world.Proxy.Model!.Set.Objects.FirstOrDefault(one => one.Id == id);

    private static Task HasAsync(ProxyWorld world, params string[] ids) => Eventually.IsTrueAsync(
        () => world.Proxy.Model!.Set.Objects.Select(one => one.Id).Order(StringComparer.Ordinal).SequenceEqual(ids), string.Join(", ", ids));
}
