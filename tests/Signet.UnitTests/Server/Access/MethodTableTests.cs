using System.Net;
using System.Reflection;
using Google.Protobuf.Reflection;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Server.Access;

namespace Signet.UnitTests.Server.Access;

public sealed class MethodTableTests
{
    private static readonly SpiffeId Id = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/x");
    private static readonly Caller Root = new Caller.Local(0, 1, new Rights([Grant.Everywhere(Role.Admin, "a test")]));
    private static readonly Caller Nobody = new Caller.Local(1000, 1, Rights.None);
    private static readonly Caller Agent = new Caller.Agent(Id, DateTimeOffset.MaxValue);
    private static readonly Caller Stranger = new Caller.Anonymous(IPAddress.Loopback);

    /// <summary>Services that are bound to other doors.</summary>
    private static readonly string[] Elsewhere =
    [
        "SpiffeWorkloadAPI", "containerd.", "envoy.service.auth.", "envoy.service.secret.", "signet.agent.", "signet.explain.", "signet.workload.", "spiffe.broker.", "spire.agent.", "spire.api.agent.",
    ];

    public static TheoryData<string> Methods => [.. Descriptors().SelectMany(service => service.Methods).Select(method => $"/{method.Service.FullName}/{method.Name}")];

    [Theory]
    [MemberData(nameof(Methods))]
    public void Every_method_of_every_service_has_its_row(string method) => Assert.Contains(method, MethodTable.Rules.Keys);

    [Fact]
    public void A_method_without_a_row_is_open_to_nobody() =>
        Assert.All([Root, Agent, Stranger], caller => Assert.False(MethodTable.Judge("/signet.other.v1.Other/Do", caller).IsAllowed));

    [Fact]
    public void Whoever_has_no_role_reaches_only_what_is_open_to_anyone()
    {
        var open = MethodTable.Rules.Keys.Where(method => MethodTable.Judge(method, Nobody).IsAllowed).ToArray();
        Assert.Equal(open.Order(), MethodTable.Rules.Keys.Where(method => MethodTable.Judge(method, Stranger).IsAllowed).Order());
        Assert.Equal(["/spire.api.server.agent.v1.Agent/AttestAgent", "/spire.api.server.bundle.v1.Bundle/GetBundle"], open.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Agents_reach_nothing_that_operators_change() =>
        Assert.All(MethodTable.Rules.Where(pair => pair.Value.Needs is { } needs && !needs.Text().EndsWith(".read", StringComparison.Ordinal)), pair => Assert.False(MethodTable.Judge(pair.Key, Agent).IsAllowed, pair.Key));

    [Fact]
    public void Operators_do_not_act_as_agents() => Assert.False(MethodTable.Judge("/spire.api.server.svid.v1.SVID/BatchNewX509SVID", Root).IsAllowed);

    [Fact]
    public void A_downstream_entry_opens_what_servers_below_need_and_nothing_else()
    {
        var downstream = new Caller.Workload(SpiffeId.Parse("spiffe://example.org/below"), Rights.None, "e1");
        Assert.True(MethodTable.Judge("/spire.api.server.svid.v1.SVID/NewDownstreamX509CA", downstream).IsAllowed);
        Assert.False(MethodTable.Judge("/spire.api.server.svid.v1.SVID/NewDownstreamX509CA", downstream with { DownstreamEntry = null }).IsAllowed);
        Assert.False(MethodTable.Judge("/spire.api.server.entry.v1.Entry/ListEntries", downstream).IsAllowed);
    }

    [Fact]
    public void A_role_with_paths_does_not_reach_what_has_no_path()
    {
        var scoped = new Caller.Local(1000, 1, new Rights([new Grant(Role.Admin, ["/ns/prod"], [], "a test")]));
        Assert.True(MethodTable.Judge("/spire.api.server.entry.v1.Entry/BatchCreateEntry", scoped).IsAllowed);
        Assert.False(MethodTable.Judge("/spire.api.server.localauthority.v1.LocalAuthority/TaintX509Authority", scoped).IsAllowed);
        Assert.False(MethodTable.Judge("/signet.audit.v1.Audit/Tail", scoped).IsAllowed);
    }

    [Fact]
    public void Whatever_changes_something_is_recorded_before_and_after() =>
        Assert.All(
            MethodTable.Rules.Where(pair => pair.Value.Needs is { } needs && !needs.Text().EndsWith(".read", StringComparison.Ordinal)),
            pair => Assert.Equal(Audited.CallAndEnd, pair.Value.Audited));

    private static IEnumerable<ServiceDescriptor> Descriptors() => typeof(SpireMapping).Assembly.GetTypes()
        .Where(type => type.Name.EndsWith("Reflection", StringComparison.Ordinal))
        .Select(type => type.GetProperty("Descriptor", BindingFlags.Public | BindingFlags.Static)?.GetValue(null))
        .OfType<FileDescriptor>()
        .SelectMany(file => file.Services)
        .Where(service => !Elsewhere.Any(prefix => service.FullName.StartsWith(prefix, StringComparison.Ordinal)));
}
