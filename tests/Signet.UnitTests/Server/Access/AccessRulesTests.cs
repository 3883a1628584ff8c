using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Access;

namespace Signet.UnitTests.Server.Access;

public sealed class AccessRulesTests
{
    private const uint Own = 500;
    private static readonly SpiffeId Prod = SpiffeId.Parse("spiffe://example.org/ns/prod/web");
    private static readonly SpiffeId Production = SpiffeId.Parse("spiffe://example.org/ns/production/web");
    private static readonly SpiffeId Tool = SpiffeId.Parse("spiffe://example.org/ci");

    [Fact]
    public void Root_and_the_servers_own_user_are_administrators_and_nobody_else_is()
    {
        foreach (var uid in new uint[] { 0, Own })
        {
            Assert.True(AccessRules.Default.Of(uid, Own).JudgeEverywhere(AccessAction.EntryPrivilege).IsAllowed);
        }

        var other = AccessRules.Default.Of(1000, Own).JudgeSomewhere(AccessAction.EntryRead);
        Assert.False(other.IsAllowed);
        Assert.Contains("no role", other.Reason);
    }

    [Fact]
    public void A_grant_for_root_replaces_what_it_would_have_otherwise()
    {
        var rules = Read("grants: [{uid: 0, role: viewer}]");
        Assert.True(rules.Of(0, Own).JudgeEverywhere(AccessAction.EntryRead).IsAllowed);
        Assert.False(rules.Of(0, Own).JudgeSomewhere(AccessAction.EntryWrite).IsAllowed);
    }

    [Fact]
    public void Uids_are_administrators_as_before() =>
        Assert.True(Read("uids: [1000]").Of(1000, Own).JudgeEverywhere(AccessAction.AuthorityWrite).IsAllowed);

    [Fact]
    public void A_role_with_paths_counts_below_them_only()
    {
        var rights = Read("{roles: {deployer: [entry.*]}, grants: [{uid: 1000, role: deployer, paths: [/ns/prod/]}]}").Of(1000, Own);
        Assert.True(rights.JudgeSomewhere(AccessAction.EntryWrite).IsAllowed);
        Assert.True(rights.Judge(AccessAction.EntryWrite, Prod).IsAllowed);
        Assert.False(rights.Judge(AccessAction.EntryWrite, Production).IsAllowed);
        Assert.False(rights.JudgeEverywhere(AccessAction.EntryWrite).IsAllowed);
        Assert.False(rights.Judge(AccessAction.AgentRead, Prod).IsAllowed);
        Assert.Contains("entry.write is needed on spiffe://example.org/ns/production/web", rights.Judge(AccessAction.EntryWrite, Production).Reason);
    }

    [Theory]
    [InlineData("/ns/prod", "/ns/prod", true)]
    [InlineData("/ns/prod", "/ns/prod/web", true)]
    [InlineData("/ns/prod/", "/ns/prod/web", true)]
    [InlineData("/ns/prod", "/ns/production", false)]
    [InlineData("/ns/prod", "/ns/pro", false)]
    [InlineData("/ns/prod", "/NS/prod/web", false)]
    public void A_path_covers_itself_and_what_lies_below_it(string path, string id, bool covers) =>
        Assert.Equal(covers, new Grant(Role.Admin, [path], [], "a test").Covers(SpiffeId.Parse($"spiffe://example.org{id}")));

    [Theory]
    [InlineData("prod.example.org", true)]
    [InlineData("web.prod.example.org", true)]
    [InlineData("WEB.PROD.EXAMPLE.ORG", true)]
    [InlineData("nonprod.example.org", false)]
    [InlineData("example.org", false)]
    public void A_grant_with_paths_gives_the_DNS_names_that_it_lists(string name, bool allowed)
    {
        var rights = Read("{roles: {d: [entry.write, svid.mint]}, grants: [{uid: 1000, role: d, paths: [/ns/prod], dnsNames: [prod.example.org]}]}").Of(1000, Own);
        Assert.Equal(allowed, rights.JudgeChange(null, Entry(Prod) with { DnsNames = [name] }).IsAllowed);
        Assert.Equal(allowed, rights.JudgeMint(Prod, [name]).IsAllowed);
    }

    [Fact]
    public void Without_listed_DNS_names_a_grant_with_paths_gives_none_and_one_without_paths_gives_all()
    {
        var scoped = new Rights([new Grant(Role.Admin, ["/ns/prod"], [], "a test")]);
        Assert.True(scoped.JudgeChange(null, Entry(Prod)).IsAllowed);
        Assert.False(scoped.JudgeChange(null, Entry(Prod) with { DnsNames = ["web"] }).IsAllowed);
        Assert.True(new Rights([Grant.Everywhere(Role.Admin, "a test")]).JudgeChange(null, Entry(Prod) with { DnsNames = ["web"] }).IsAllowed);
    }

    [Fact]
    public void Nobody_with_paths_can_make_change_or_remove_an_admin_or_downstream_entry()
    {
        var scoped = new Rights([new Grant(Role.Admin, ["/ns/prod"], [], "a test")]);
        foreach (var privileged in new[] { Entry(Prod) with { Admin = true }, Entry(Prod) with { Downstream = true } })
        {
            Assert.False(scoped.JudgeChange(null, privileged).IsAllowed);
            Assert.False(scoped.JudgeChange(Entry(Prod), privileged).IsAllowed);
            Assert.False(scoped.JudgeChange(privileged, Entry(Prod)).IsAllowed);
            Assert.False(scoped.JudgeChange(privileged, null).IsAllowed);
            Assert.True(new Rights([Grant.Everywhere(Role.Admin, "a test")]).JudgeChange(null, privileged).IsAllowed);
        }

        var deployer = new Role("deployer", [AccessAction.EntryWrite]);
        Assert.False(new Rights([Grant.Everywhere(deployer, "a test")]).JudgeChange(null, Entry(Prod) with { Admin = true }).IsAllowed);
    }

    [Fact]
    public void An_entry_is_moved_neither_into_nor_out_of_the_paths()
    {
        var scoped = new Rights([new Grant(Role.Admin, ["/ns/prod"], [], "a test")]);
        Assert.False(scoped.JudgeChange(Entry(Prod), Entry(Production)).IsAllowed);
        Assert.False(scoped.JudgeChange(Entry(Production), Entry(Prod)).IsAllowed);
        Assert.False(scoped.JudgeChange(Entry(Production), null).IsAllowed);
    }

    [Fact]
    public void Two_grants_do_not_lend_each_other_their_paths()
    {
        var rights = new Rights(
        [
            new Grant(new Role("reader", [AccessAction.EntryRead]), [], [], "one"),
            new Grant(new Role("writer", [AccessAction.EntryWrite]), ["/ns/prod"], [], "other"),
        ]);
        Assert.True(rights.JudgeEverywhere(AccessAction.EntryRead).IsAllowed);
        Assert.False(rights.Judge(AccessAction.EntryWrite, Production).IsAllowed);
    }

    [Fact]
    public void An_admin_entry_makes_an_administrator_unless_a_grant_says_what_it_is()
    {
        Assert.True(AccessRules.Default.Of(Tool, "e1").JudgeEverywhere(AccessAction.EntryWrite).IsAllowed);
        Assert.False(AccessRules.Default.Of(Tool, adminEntry: null).JudgeSomewhere(AccessAction.EntryRead).IsAllowed);
        var named = Read("grants: [{spiffeId: spiffe://example.org/ci, role: viewer}]");
        Assert.False(named.Of(Tool, "e1").JudgeSomewhere(AccessAction.EntryWrite).IsAllowed);
        Assert.True(named.Of(Tool, adminEntry: null).JudgeEverywhere(AccessAction.EntryRead).IsAllowed);
    }

    [Theory]
    [InlineData("grants: [{uid: 1000, role: admn}]", "did you mean \"admin\"?")]
    [InlineData("grants: [{uid: 1000}]", "role")]
    [InlineData("grants: [{role: admin}]", "write either uid or spiffeId")]
    [InlineData("grants: [{uid: 1, spiffeId: spiffe://example.org/a, role: admin}]", "write either uid or spiffeId")]
    [InlineData("grants: [{uid: root, role: admin}]", "is not a user's number")]
    [InlineData("grants: [{spiffeId: example.org/a, role: admin}]", "does not begin with")]
    [InlineData("grants: [{uid: 1, role: admin, paths: [ns/prod]}]", "is not the beginning of a SPIFFE ID's path")]
    [InlineData("grants: [{uid: 1, role: admin, paths: [/]}]", "is not the beginning of a SPIFFE ID's path")]
    [InlineData("grants: [{uid: 1, role: admin, paths: [/a/../b]}]", "is not the beginning of a SPIFFE ID's path")]
    [InlineData("grants: [{uid: 1, role: admin, paths: []}]", "an empty list would allow everything")]
    [InlineData("grants: [{uid: 1, role: admin, dnsNames: [a]}]", "without paths every DNS name is allowed")]
    [InlineData("{uids: [7], grants: [{uid: 7, role: viewer}]}", "stands under admin.uids")]
    [InlineData("roles: {admin: [entry.read]}", "is built in")]
    [InlineData("roles: {mine: [entries.read]}", "did you mean \"entry.read\"?")]
    [InlineData("roles: {mine: [entry.read]}\n  rolls: {}", "unknown key \"rolls\"")]
    public void What_could_be_misunderstood_is_a_problem(string yaml, string expected)
    {
        var wrong = Assert.Throws<ConfigException>(() => Read(yaml));
        Assert.Contains(expected, wrong.Message);
    }

    [Fact]
    public void Every_action_is_written_as_a_noun_and_a_verb()
    {
        Assert.Equal("entry.privilege", AccessAction.EntryPrivilege.Text());
        Assert.All(AccessActions.All, action => Assert.Matches("^[a-z]+\\.[a-z]+$", action.Text()));
        Assert.All(AccessActions.All, action => Assert.Equal([action], AccessActions.Matching(action.Text())));
        Assert.Equal(AccessActions.All, AccessActions.Matching("*"));
        Assert.Equal([AccessAction.EntryRead, AccessAction.EntryWrite, AccessAction.EntryPrivilege], AccessActions.Matching("entry.*"));
        Assert.DoesNotContain(AccessAction.EntryWrite, Role.Viewer.Actions);
    }

    [Fact]
    public void A_role_with_paths_says_nothing_of_subjects_addresses_and_mailboxes_so_it_may_not_set_them()
    {
        var scoped = Read("{roles: {d: [entry.write]}, grants: [{uid: 1000, role: d, paths: [/ns/prod], dnsNames: [prod.example.org]}]}").Of(1000, Own);
        var everywhere = Read("{roles: {d: [entry.write]}, grants: [{uid: 1000, role: d}]}").Of(1000, Own);

        Assert.True(scoped.JudgeChange(null, Entry(Prod) with { Template = new SvidTemplate { KeyType = KeyType.Rsa2048 } }).IsAllowed);
        Assert.True(scoped.JudgeChange(null, With("dns:{path.last}.prod.example.org")).IsAllowed);
        Assert.Contains("DNS name web.example.org", scoped.JudgeChange(null, With("dns:{path.last}.example.org")).Reason, StringComparison.Ordinal);
        foreach (var entry in new[] { With("ip:10.0.0.7"), With("email:a@prod.example.org"), Entry(Prod) with { Template = new SvidTemplate { Subject = "CN={path.last}" } } })
        {
            Assert.Contains("without paths", scoped.JudgeChange(null, entry).Reason, StringComparison.Ordinal);
            Assert.False(scoped.JudgeChange(Entry(Prod), entry).IsAllowed);
            Assert.True(everywhere.JudgeChange(null, entry).IsAllowed);

            // To take it away is to write an entry without it.
            Assert.True(scoped.JudgeChange(entry, Entry(Prod)).IsAllowed);
        }

        RegistrationEntry With(string name) => Entry(Prod) with { Template = new SvidTemplate { Names = [name] } };
    }

    private static AccessRules Read(string admin) =>
        ConfigDocument.Read("server.yaml", $"admin:\n  {admin}\n", new Dictionary<string, string>(), root => AccessRules.Read(root.Section("admin")));

    private static RegistrationEntry Entry(SpiffeId id) => new()
    {
        Id = "e",
        SpiffeId = id,
        ParentId = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/x"),
        Selectors = [new Selector("unix", "uid:1")],
    };
}
