using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Hosting.Distribution;
using Signet.Server.ControlPlane;
using Signet.Testing;

namespace Signet.FunctionalTests.Mesh;

/// <summary>Pods, services and policies from a Kubernetes API server, over HTTPS.</summary>
public sealed class KubernetesMeshTests
{
    private const string Strict = """{"kind":"PeerAuthentication","apiVersion":"security.istio.io/v1beta1","metadata":{"name":"mesh","namespace":"istio-system"},"spec":{"mtls":{"mode":"STRICT"}}}""";
    private const string Nobody = """{"kind":"AuthorizationPolicy","apiVersion":"security.istio.io/v1beta1","metadata":{"name":"nobody","namespace":"shop"},"spec":{}}""";
    private const string Web = """{"kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]}}""";

    /// <summary>In each cluster, with an address outside; nothing of the mesh is behind it.</summary>
    private const string Outside = """{"kind":"Service","metadata":{"name":"outside","namespace":"shop"},"spec":{"type":"ExternalName","externalName":"example.org"}}""";

    [Fact]
    public async Task Policies_services_and_pods_are_listed_page_by_page_and_change_when_the_cluster_says_so()
    {
        await using var cluster = await FakeCluster.StartAsync(Strict, Nobody, Web, Outside, Pod("a", "10.0.0.1"), Pod("b", "10.0.0.2"), Pod("c", "10.0.0.3"));
        await using var source = Source(cluster);
        await Eventually.IsTrueAsync(() => source.Problem.Length == 0 && source.Current is not null, "what the cluster has");
        var revision = source.Current!.Snapshot.Revision;
        Assert.Equal(["istio-system/mesh", "shop/nobody", "shop/web"], source.Current.Desired.Objects.Select(one => one.Id).Order(StringComparer.Ordinal));
        Assert.Equal(["a", "b", "c"], source.Current.Desired.Pods.Select(pod => pod.Name));
        Assert.Equal("\U0001F600", source.Current.Desired.Pods[0].Annotations["mood"]);
        Assert.Contains("10.0.0.3:8080", Endpoints(source), StringComparison.Ordinal);
        Assert.All(source.Cluster!.Texts, text => Assert.DoesNotContain("s3cret", text.Text, StringComparison.Ordinal));

        cluster.Put(Pod("c", "10.0.0.9"));
        await Eventually.IsTrueAsync(() => Endpoints(source).Contains("10.0.0.9:8080", StringComparison.Ordinal), "the pod's new address");
        Assert.True(source.Current.Snapshot.Revision > revision);
        cluster.Remove(Pod("c", "10.0.0.9"));
        cluster.Remove(Nobody);
        await Eventually.IsTrueAsync(() => !Endpoints(source).Contains("10.0.0.9", StringComparison.Ordinal) && source.Current.Desired.Objects.All(one => one.Id != "shop/nobody"), "both are gone");
        Assert.All(source.Cluster.CountLists(), lists => Assert.Equal(1, lists.Value));

        // A mistake changes nothing in its namespace, and holds up no other; nor does the end of all policies change anything.
        cluster.Put(Nobody.Replace("\"spec\":{}", "\"spec\":{\"action\":\"MAYBE\"}", StringComparison.Ordinal));
        await Eventually.IsTrueAsync(() => source.Problem.Contains("MAYBE", StringComparison.Ordinal), "the mistake");
        cluster.Put(Nobody.Replace("\"namespace\":\"shop\"", "\"namespace\":\"bank\"", StringComparison.Ordinal));
        await Eventually.IsTrueAsync(() => source.Current.Desired.Objects.Any(one => one.Id == "bank/nobody") && source.Problem.Contains("MAYBE", StringComparison.Ordinal), "the other namespace's policy");
        Assert.DoesNotContain(source.Current.Desired.Objects, one => one.Id == "shop/nobody");
        cluster.Remove(Nobody.Replace("\"namespace\":\"shop\"", "\"namespace\":\"bank\"", StringComparison.Ordinal));
        cluster.Put(Nobody);
        await Eventually.IsTrueAsync(() => source.Problem.Length == 0, "the mistake is gone");
        cluster.Remove(Nobody);
        cluster.Remove(Strict);
        await Eventually.IsTrueAsync(() => source.Problem.Contains("no policy at all", StringComparison.Ordinal), "that nothing is left");
        Assert.Contains(source.Current.Desired.Objects, one => one.Id == "istio-system/mesh");
    }

    [Fact]
    public async Task A_watch_that_is_cut_goes_on_where_it_was_and_a_version_that_is_gone_is_listed_again_with_the_newest_token()
    {
        await using var cluster = await FakeCluster.StartAsync(Strict, Nobody);
        await using var source = Source(cluster);
        await Eventually.IsTrueAsync(() => source.Current is not null && cluster.Watches.Count == KubernetesKind.All.Length, "the watches");

        // 1. Cut within a line: from the last version, not from the beginning.
        cluster.Say("Pod", """{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"777"}}}""");
        cluster.Put(Web);
        await Eventually.IsTrueAsync(() => Endpoints(source).Length > 0, "the service");
        cluster.Replace("second");
        cluster.End("{\"type\":\"ADD");
        await Eventually.IsTrueAsync(() => cluster.Watches.Count == 2 * KubernetesKind.All.Length && source.Problem.Length == 0, "the watches are back");
        Assert.Contains(cluster.Watches.Skip(KubernetesKind.All.Length), watch => watch.StartsWith("/api/v1/pods?", StringComparison.Ordinal) && watch.EndsWith("resourceVersion=777", StringComparison.Ordinal));
        Assert.All(source.Cluster!.CountLists(), lists => Assert.Equal(1, lists.Value));

        // 2. What went meanwhile is missed in the next list.
        cluster.Forget("AuthorizationPolicy", "shop/nobody");
        cluster.End("""{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}""" + "\n");
        await Eventually.IsTrueAsync(() => source.Current!.Desired.Objects.All(one => one.Id != "shop/nobody"), "it is gone");
        Assert.All(source.Cluster.CountLists(), lists => Assert.Equal(2, lists.Value));
        Assert.Equal("", source.Problem);
    }

    [Theory]
    [InlineData("refuses", "answered 403")]
    [InlineData("forgets", "does not know")]
    [InlineData("garbage", "invalid")]
    [InlineData("no version", "no metadata.resourceVersion")]
    [InlineData("no name", "without name or namespace")]
    [InlineData("turns in circles", "more of AuthorizationPolicy than")]
    [InlineData("is too large", "longer than")]
    public async Task What_was_known_stays_while_the_cluster_does_not_answer_as_it_should(string what, string expected)
    {
        await using var cluster = await FakeCluster.StartAsync(Strict, Nobody);
        var clock = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var source = Source(cluster, clock);
        await Eventually.IsTrueAsync(() => source.Current is not null && cluster.Watches.Count == KubernetesKind.All.Length, "the watches", passing: clock);
        cluster.Instead = context => context.Request.Path.Value!.EndsWith("authorizationpolicies", StringComparison.Ordinal) ? MisbehaveAsync(context, what) : Task.FromResult(false);
        cluster.End("""{"type":"ERROR","object":{"kind":"Status","code":410,"message":"gone"}}""" + "\n");
        await Eventually.IsTrueAsync(() => source.Problem.Contains(expected, StringComparison.Ordinal), expected, passing: clock);
        Assert.Contains(source.Current!.Desired.Objects, one => one.Id == "shop/nobody");
        cluster.Instead = _ => Task.FromResult(false);
        await Eventually.IsTrueAsync(() => source.Problem.Length == 0, "the cluster is believed again", passing: clock);
    }

    [Theory]
    [InlineData("""{"type":"ADDED","object":{"kind":"Secret","metadata":{"name":"a","namespace":"b","resourceVersion":"9"}}}""", "gave ADDED of Secret")]
    [InlineData("""{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","namespace":"b"}}}""", "gave ADDED of Pod")]
    [InlineData("""{"type":"RENAMED","object":{"kind":"Pod","metadata":{"name":"a","namespace":"b","resourceVersion":"9"}}}""", "gave RENAMED")]
    [InlineData("""{"type":"ERROR","object":{"kind":"Status","code":500,"message":"no etcd"}}""", "500 no etcd")]
    public async Task A_watch_that_cannot_be_understood_is_followed_by_a_list(string line, string expected)
    {
        await using var cluster = await FakeCluster.StartAsync(Strict);
        var clock = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var source = Source(cluster, clock);
        await Eventually.IsTrueAsync(() => source.Current is not null && cluster.Watches.Count == KubernetesKind.All.Length, "the watches", passing: clock);
        cluster.Say("Pod", line);
        await Eventually.IsTrueAsync(() => source.Problem.Contains(expected, StringComparison.Ordinal), expected);
        await Eventually.IsTrueAsync(() => source.Problem.Length == 0, "the next watch", passing: clock);
        Assert.Equal(2, source.Cluster!.CountLists().Single(lists => Equals(lists.Tags[0].Value, "Pod")).Value);
    }

    [Fact]
    public async Task A_cluster_that_hangs_is_given_up_and_asked_again()
    {
        await using var cluster = await FakeCluster.StartAsync(Strict);
        using var answers = new CancellationTokenSource();
        cluster.Instead = async context =>
        {
            await Task.Delay(Timeout.Infinite, CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, answers.Token).Token).ContinueWith(_ => { }, TaskScheduler.Default);
            return false;
        };
        var clock = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var source = Source(cluster, clock);
        await Eventually.IsTrueAsync(() => Passes(clock, TimeSpan.FromSeconds(1)) && source.Problem.Contains("did not answer within 30 s", StringComparison.Ordinal), "the end of patience");
        Assert.Null(source.Current);
        await answers.CancelAsync();
        await Eventually.IsTrueAsync(() => Passes(clock, TimeSpan.FromMilliseconds(20)) && source is { Current: not null, Problem: "" }, "the next answer");
    }

    [Fact]
    public async Task Nothing_counts_before_all_kinds_were_listed_and_a_kind_that_is_not_installed_is_an_empty_one()
    {
        await using var cluster = await FakeCluster.StartAsync(Strict, Nobody);
        cluster.Instead = context => Task.FromResult((context.Response.StatusCode = context.Request.Path.Value!.EndsWith("serviceentries", StringComparison.Ordinal) ? 404
            : context.Request.Path.Value!.EndsWith("authorizationpolicies", StringComparison.Ordinal) ? 403 : 200) != 200);
        await using var source = Source(cluster);
        await Eventually.IsTrueAsync(() => source.Problem.Contains("answered 403 to GET apis/security.istio.io/v1beta1/authorizationpolicies", StringComparison.Ordinal), "the refusal");
        await Eventually.IsTrueAsync(() => source.Cluster!.CountObjects().Single(count => Equals(count.Tags[0].Value, "PeerAuthentication")).Value == 1, "the other kinds");
        Assert.Null(source.Current);
        cluster.Instead = context => Task.FromResult((context.Response.StatusCode = context.Request.Path.Value!.EndsWith("serviceentries", StringComparison.Ordinal) ? 404 : 200) != 200);
        await Eventually.IsTrueAsync(() => source is { Current: not null, Problem: "" }, "all that is installed");
    }

    private static bool Passes(ManualTimeProvider clock, TimeSpan time)
    {
        clock.Advance(time);
        return true;
    }

    private static async Task<bool> MisbehaveAsync(HttpContext context, string what)
    {
        var isWatch = context.Request.Query.ContainsKey("watch");
        context.Response.StatusCode = what switch { "refuses" => 403, "forgets" => 404, _ => 200 };
        var text = what switch
        {
            "garbage" => "<html>",
            "no version" => """{"metadata":{},"items":[]}""",
            "no name" => """{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"x"},"spec":{}}]}""",
            "turns in circles" => """{"metadata":{"resourceVersion":"1","continue":"more"},"items":[]}""",
            _ => "",
        };
        if (what == "is too large" && !isWatch)
        {
            context.Response.ContentLength = 40 * 1024 * 1024;
            text = " ";
        }

        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text));
        await context.Response.Body.FlushAsync();
        return true;
    }

    private static MeshSource Source(FakeCluster cluster, TimeProvider? time = null) =>
        new(cluster.Config, null, TestTrustDomain.Name, time ?? TimeProvider.System, () => 0, NullLogger<MeshSource>.Instance);

    private static string Endpoints(MeshSource source) =>
        source.Current?.Snapshot.Documents.GetValueOrDefault(MeshDocument.NameOf(MeshKinds.Endpoints, "shop", "Service.web"))?.Text ?? "";

    private static string Pod(string name, string ip) => $$$"""
        {"kind":"Pod","apiVersion":"v1","metadata":{"name":"{{{name}}}","namespace":"shop","labels":{"app":"web"},"annotations":{"mood":"\ud83d\ude00"},"managedFields":[{"manager":"x"}]},
        "spec":{"nodeName":"n","serviceAccountName":"web","containers":[{"name":"c","image":"i","env":[{"name":"PASSWORD","value":"s3cret"}]}]},"status":{"phase":"Running","podIP":"{{{ip}}}"}}
        """;
}
