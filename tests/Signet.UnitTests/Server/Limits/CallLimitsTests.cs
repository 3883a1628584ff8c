using System.Net;
using Signet.Hosting.Configuration;
using Signet.Hosting.Limits;
using Signet.Identity.Spiffe;
using Signet.Server.Access;
using Signet.Server.Limits;
using Signet.Testing;

namespace Signet.UnitTests.Server.Limits;

public sealed class CallLimitsTests
{
    private const string Attest = "/spire.api.server.agent.v1.Agent/AttestAgent", Other = "/spire.api.server.bundle.v1.Bundle/GetBundle";
    private static readonly LimitsConfig Small = new() { Attest = new(1, 1), Strangers = new(1, 2), Agents = new(1, 3), Operators = new(1, 4), Signing = new(1, 5) };
    private static readonly SpiffeId Id = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/x");

    private readonly CallLimits _limits = new(Small, new ManualTimeProvider());

    [Fact]
    public void Each_kind_of_caller_has_its_own_limit()
    {
        var stranger = new Caller.Anonymous(IPAddress.Loopback);
        Assert.Equal(("attest", 1), Reach(Attest, stranger));
        Assert.Equal(("strangers", 2), Reach(Other, stranger));
        Assert.Equal(("agents", 3), Reach(Other, new Caller.Agent(Id, DateTimeOffset.MaxValue)));
        Assert.Equal(("operators", 4), Reach(Other, new Caller.Local(1000, 1, Rights.None)));
        Assert.Equal(("operators", 4), Reach(Other, new Caller.Workload(Id, Rights.None, null)));
    }

    [Fact]
    public void A_user_is_one_caller_whatever_its_processes()
    {
        Assert.Equal(("operators", 4), Reach(Other, new Caller.Local(1000, 1, Rights.None)));
        Assert.NotNull(_limits.TakeCall(Other, new Caller.Local(1000, 2, Rights.None)));
        Assert.Null(_limits.TakeCall(Other, new Caller.Local(1001, 3, Rights.None)));
    }

    [Fact]
    public void One_address_does_not_use_up_anothers_turn()
    {
        Reach(Attest, new Caller.Anonymous(IPAddress.Loopback));
        Assert.Null(_limits.TakeCall(Attest, new Caller.Anonymous(IPAddress.IPv6Loopback)));
    }

    [Fact]
    public void Signatures_count_one_by_one()
    {
        Assert.Null(_limits.TakeSignatures(Id, 5));
        var reached = _limits.TakeSignatures(Id, 1);
        Assert.Equal("limits.signing is reached: 1 a second, 5 at once; slow down, or have it raised", reached!.Reason);
    }

    [Theory]
    [InlineData("attest: {perSecond: 0}", "attest.perSecond")]
    [InlineData("attest: {perSecond: 10, burst: 5}", "could then never be reached")]
    [InlineData("requestSize: 1KiB", "is not between")]
    [InlineData("requestSize: 1GiB", "is not between")]
    [InlineData("connections: 1", "connections")]
    [InlineData("singing: {burst: 1}", "did you mean \"signing\"?")]
    public void A_limit_that_makes_no_sense_is_a_problem(string yaml, string expected) =>
        Assert.Contains(expected, Assert.Throws<ConfigException>(() => Read(yaml)).Message);

    [Fact]
    public void What_is_not_set_has_its_default()
    {
        var limits = Read("attest: {perSecond: 100, burst: 200}");
        Assert.Equal(new Rate(100, 200), limits.Attest);
        Assert.Equal(new LimitsConfig().Agents, limits.Agents);
        Assert.Equal(4 * 1024 * 1024, limits.RequestSize);
    }

    private (string Name, int Calls) Reach(string method, Caller caller)
    {
        for (var calls = 0; ; calls++)
        {
            if (_limits.TakeCall(method, caller) is { } limit)
            {
                return (limit.Name, calls);
            }
        }
    }

    private static LimitsConfig Read(string yaml) =>
        ConfigDocument.Read("server.yaml", $"limits:\n  {yaml}\n", new Dictionary<string, string>(), root => LimitsConfig.Read(root.Section("limits")));
}
