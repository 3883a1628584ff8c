using Signet.Policy.Traffic;

namespace Signet.UnitTests.Policy;

/// <summary>Recorded traffic against policies that are not in force yet.</summary>
public sealed class SimulationTests
{
    private const string Strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: s, namespace: production}\nspec: {mtls: {mode: STRICT}}";

    private static string Line(string? principal, string verdict, string method = "GET", string extra = "") =>
        "{\"direction\":\"inbound\",\"source\":{\"ip\":\"10.0.0.7\",\"principal\":" + (principal is null ? "null" : "\"" + principal + "\"")
        + "},\"destination\":{\"namespace\":\"production\",\"labels\":{\"app\":\"pay\"},\"port\":8080},\"tls\":{\"mutual\":" + (principal is null ? "false" : "true")
        + "},\"request\":{\"method\":\"" + method + "\",\"host\":\"pay\",\"path\":\"/a\"},\"verdict\":\"" + verdict + "\"" + extra + "}";

    private static IReadOnlyList<SimulatedEdge> Simulate(string yaml, params string[] lines)
    {
        var simulation = new Simulation(Ask.Set(yaml));
        foreach (var line in lines)
        {
            Assert.True(AccessLogEntry.TryParse(line, out var entry, out var problem), problem);
            if (entry is not null)
            {
                simulation.Add(entry);
            }
        }

        return simulation.Edges();
    }

    [Fact]
    public void Going_STRICT_shows_who_still_speaks_plaintext()
    {
        var edges = Simulate(Strict, Line(null, "allow"), Line(null, "allow"), Line("cluster.local/ns/web/sa/web", "allow"));
        Assert.Equal(new SimulatedEdge("10.0.0.7", "production/pay", 8080, 2, 2, 0, false, "denied: production/s asks for mutual TLS and the peer has none"), edges[0]);
        Assert.Equal(new SimulatedEdge("cluster.local/ns/web/sa/web", "production/pay", 8080, 1, 0, 0, false, null), edges[1]);
    }

    [Fact]
    public void What_was_denied_and_would_pass_is_newly_admitted()
    {
        var edge = Assert.Single(Simulate("", Line("a/b", "deny"), Line("a/b", "allow")));
        Assert.Equal((2, 0, 1), (edge.Requests, edge.NewlyRefused, edge.NewlyAdmitted));
    }

    [Fact]
    public void Policies_that_ask_for_what_logs_do_not_hold_make_the_answer_uncertain()
    {
        Assert.True(Assert.Single(Simulate(Ask.Policy("DENY", "{when: [{key: \"request.headers[x]\", values: [y]}]}"), Line("a/b", "allow"))).IsUncertain);
        Assert.False(Assert.Single(Simulate(Ask.Policy("DENY", "{to: [{operation: {methods: [PUT]}}]}"), Line("a/b", "allow"))).IsUncertain);
    }

    [Fact]
    public void Outbound_lines_are_passed_over() => Assert.Empty(Simulate("", Line("a/b", "allow").Replace("inbound", "outbound")));

    [Theory]
    [InlineData("identity", 0)]
    [InlineData("detection", 0)]
    [InlineData("handshake", 0)]
    [InlineData("default", 1)]
    public void Connections_that_ended_before_policy_was_asked_are_passed_over(string stage, int edges) =>
        Assert.Equal(edges, Simulate("", Line(null, "deny", extra: $",\"stage\":\"{stage}\"")).Count);

    [Fact]
    public void A_line_without_a_request_is_TCP()
    {
        var tcp = Line("a/b", "allow").Replace(",\"request\":{\"method\":\"GET\",\"host\":\"pay\",\"path\":\"/a\"}", "");
        Assert.Equal(1, Assert.Single(Simulate(Ask.Policy("ALLOW", "{to: [{operation: {methods: [GET]}}]}"), tcp)).NewlyRefused);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"verdict\":\"allow\"}")]
    [InlineData("{\"verdict\":\"maybe\",\"destination\":{\"namespace\":\"a\",\"port\":1}}")]
    [InlineData("{\"verdict\":\"allow\",\"destination\":{\"namespace\":\"a\",\"port\":0}}")]
    [InlineData("{\"verdict\":\"allow\",\"destination\":{\"namespace\":\"a\",\"port\":1},\"source\":{\"principal\":\"A B\"}}")]
    [InlineData("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]")]
    public void A_line_that_can_not_be_read_says_why(string line)
    {
        Assert.False(AccessLogEntry.TryParse(line, out var entry, out var problem));
        Assert.Null(entry);
        Assert.NotEmpty(problem);
    }
}
