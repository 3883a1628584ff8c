using System.Collections.Immutable;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Agent.Mesh;
using Signet.Hosting.Distribution;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Server.ControlPlane;

namespace Signet.UnitTests.Hosting.Distribution;

/// <summary>Whatever stands where the mesh's configuration is expected, there is an answer and no exception.</summary>
public sealed class HostileTextTests
{
    private const string Endpoints = """{"hosts":["a.example"],"ports":[{"port":80,"endpoints":["10.0.0.1:80","[fd00::1]:81"]}]}""";

    private const string Objects = """
        {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}}
        ---
        {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: db}, spec: {hosts: [db], ports: [{number: 1, name: x}], endpoints: [{address: 10.0.0.1, ports: {x: 2}}]}}
        ---
        {apiVersion: v1, kind: PodList, items: [{metadata: {name: p, namespace: shop, uid: u, labels: {app: web}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 1}]}]}, status: {podIP: 10.0.0.1, containerStatuses: [{name: c}]}}]}
        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, namespace: shop}, spec: {rules: [{}]}}
        """;

    [Fact]
    public void Endpoints_read_or_have_a_problem() => Prop.ForAll(Bent(Endpoints), text =>
        ServiceEndpoints.TryRead(text, out var service, out var problem) ? service is not null && problem.Length == 0 : service is null && problem.Length > 0).QuickCheckThrowOnFailure();

    [Fact]
    public void Files_of_the_mesh_read_or_have_problems() => Prop.ForAll(Bent(Objects), text =>
    {
        var mesh = DesiredMesh.Read([new PolicyText("a.yaml", text)], [new PolicyText("b.yaml", text)], new PolicyText("mesh.yaml", text), TrustDomain.Parse("example.org"));
        Assert.Null(mesh.Problems.IsEmpty ? MeshSnapshot.ProblemOf([.. mesh.Documents.Values]) : null);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void What_was_kept_and_then_bent_is_nothing_with_a_reason()
    {
        byte[] kept = [];
        new MeshMemory(() => null, bytes => kept = bytes).Keep(new MeshSnapshot(1, ImmutableDictionary<string, MeshDocument>.Empty.Add("K/a/b", new MeshDocument("K/a/b", "K", "a", true, Endpoints))));
        Prop.ForAll(Gen.Choose(0, kept.Length - 1).SelectMany(at => Gen.Choose(1, 255).Select(by => (at, by))).ToArbitrary(), bend =>
        {
            var bent = kept.ToArray();
            bent[bend.at] ^= (byte)bend.by;
            return new MeshMemory(() => bent, _ => { }).Recall(out var problem) is null && problem.Length > 0;
        }).QuickCheckThrowOnFailure();
    }

    // Some characters of a good text are others, or missing.
    private static Arbitrary<string> Bent(string good) => Gen.Choose(0, good.Length - 1).SelectMany(at => Gen.Elements('{', '}', '[', ']', ':', ',', '"', '\n', '-', '\0', 'x', '9', '&', '*').Select(by => (at, by))).ListOf()
        .Select(bends =>
        {
            var text = new StringBuilder(good);
            foreach (var (at, by) in bends.Take(8))
            {
                text[at] = by;
            }

            return text.ToString();
        }).ToArbitrary();
}
