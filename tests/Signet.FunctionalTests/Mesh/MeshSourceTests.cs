using Microsoft.Extensions.Logging;
using Signet.Identity.Spiffe;
using Signet.Server.ControlPlane;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Mesh;

/// <summary>The folder of the mesh, as people edit it.</summary>
public sealed class MeshSourceTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly RememberedLog _log = new();

    [Fact]
    public async Task A_mistake_in_one_namespace_holds_up_no_other_and_opens_nothing()
    {
        Write("shop", "{name: deny, namespace: shop}", "{action: DENY, rules: [{}]}");
        Write("bank", "{name: a, namespace: bank}", "{}");
        await using var source = new MeshSource(
            new MeshConfig(_folder.Path, null), null, TrustDomain.Parse("example.org"), TimeProvider.System, () => 0.5,
            LoggerFactory.Create(builder => builder.AddProvider(new RememberedLog.Provider(_log))).CreateLogger<MeshSource>());
        Assert.Equal(["bank/a", "shop/deny"], Names(source));

        // 1. What denied is renamed with a mistake; elsewhere somebody adds a policy.
        File.Delete(_folder.File("shop.yaml"));
        Write("shop-2", "{name: deny-all, namespace: shop}", "{action: DENY, ruels: [{}]}");
        Write("bank-2", "{name: b, namespace: bank}", "{}");
        await Eventually.IsTrueAsync(() => Names(source).Contains("bank/b") && source.Problem.Contains("ruels", StringComparison.Ordinal), "the other namespace's policy");
        Assert.Equal(["bank/a", "bank/b", "shop/deny"], Names(source));
        Assert.Contains("policies in namespace shop stay as they were, and the rest is in force", source.Problem, StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => _log.WithId(2950).Count == 1, "the word of it");

        // 2. A mistake in what concerns everybody changes nothing at all.
        Write("root", "{name: r, namespace: istio-system}", "{ruels: []}");
        Write("bank-3", "{name: c, namespace: bank}", "{}");
        await Eventually.IsTrueAsync(() => source.Problem.Contains("root.yaml", StringComparison.Ordinal), "the mistake");
        Assert.DoesNotContain("bank/c", Names(source));
        Assert.DoesNotContain("stay as they were", source.Problem, StringComparison.Ordinal);

        // 3. Both are mended.
        File.Delete(_folder.File("root.yaml"));
        Write("shop-2", "{name: deny-all, namespace: shop}", "{action: DENY, rules: [{}]}");
        await Eventually.IsTrueAsync(() => source.Problem.Length == 0, "no problem");
        Assert.Equal(["bank/a", "bank/b", "bank/c", "shop/deny-all"], Names(source));
    }

    public void Dispose() => _folder.Dispose();

    private void Write(string file, string metadata, string spec) =>
        File.WriteAllText(_folder.File($"{file}.yaml"), $"{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {metadata}, spec: {spec}}}");

    private static IEnumerable<string> Names(MeshSource source) => source.Current!.Desired.Objects.Select(one => one.Id).Order(StringComparer.Ordinal);
}
