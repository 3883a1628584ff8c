using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Identity.Registration;

public sealed class SelectorTests
{
    [Fact]
    public void A_selector_is_a_type_and_a_value_that_may_hold_more_colons()
    {
        Assert.True(Selector.TryParse("unix:uid:1000", out var selector, out _));
        Assert.Equal(("unix", "uid:1000", "unix:uid:1000"), (selector.Type, selector.Value, selector.ToString()));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("unix")]
    [InlineData(":uid")]
    [InlineData("unix:")]
    public void What_has_no_type_or_no_value_is_refused_with_an_example(string? text)
    {
        Assert.False(Selector.TryParse(text, out _, out var problem));
        Assert.Contains("unix:uid:1000", problem);
    }

    [Fact]
    public void A_selector_longer_than_the_limit_is_refused() =>
        Assert.False(Selector.TryParse("unix:" + new string('a', Selector.MaxLength), out _, out _));
}

public sealed class RegistrationEntryTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");

    [Fact]
    public void A_plain_entry_has_no_problem() => Assert.Empty(Entry().Problems(Domain));

    public static TheoryData<string, RegistrationEntry> Broken => new()
    {
        { "not in this server's trust domain", Entry() with { SpiffeId = SpiffeId.Parse("spiffe://other.org/web") } },
        { "has no path", Entry() with { SpiffeId = SpiffeId.Of(Domain) } },
        { "reserved", Entry() with { SpiffeId = SpiffeId.Parse("spiffe://example.org/spire/server") } },
        { "is not an agent", Entry() with { ParentId = SpiffeId.Parse("spiffe://other.org/agent") } },
        { "own SPIFFE ID", Entry() with { ParentId = Entry().SpiffeId } },
        { "has no selector", Entry() with { Selectors = [] } },
        { "not a DNS name", Entry() with { DnsNames = ["a b"] } },
        { "X.509 lifetime must be at least 5 s", Entry() with { X509Ttl = TimeSpan.Zero } },
        { "JWT lifetime must be at least 5 s", Entry() with { JwtTtl = TimeSpan.FromSeconds(-1) } },
        { "hint is longer", Entry() with { Hint = new string('h', 1025) } },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void Each_mistake_is_named(string expected, RegistrationEntry entry) =>
        Assert.Contains(entry.Problems(Domain), problem => problem.Contains(expected, StringComparison.Ordinal));

    internal static RegistrationEntry Entry(string id = "e1", string spiffeId = "spiffe://example.org/web", string parent = "spiffe://example.org/spire/agent/join_token/a", params string[] selectors) => new()
    {
        Id = id,
        SpiffeId = SpiffeId.Parse(spiffeId),
        ParentId = SpiffeId.Parse(parent),
        Selectors = [.. (selectors.Length > 0 ? selectors : ["unix:uid:1"]).Select(text => Selector.TryParse(text, out var selector, out _) ? selector : throw new ArgumentException(text))],
    };
}

public sealed class EntryMatcherTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly SpiffeId Server = SpiffeId.Parse("spiffe://example.org/spire/server");
    private static readonly SpiffeId Agent = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/a");

    [Fact]
    public void An_entry_applies_when_the_workload_has_all_of_its_selectors()
    {
        var entry = RegistrationEntryTests.Entry(selectors: ["unix:uid:1", "unix:gid:2"]);
        Assert.Single(Match([entry], "unix:uid:1", "unix:gid:2", "unix:path:/bin/x"));
        Assert.Empty(Match([entry], "unix:uid:1"));
    }

    [Fact]
    public void An_entry_without_selectors_applies_to_nobody() =>
        Assert.Empty(Match([RegistrationEntryTests.Entry() with { Selectors = [] }], "unix:uid:1"));

    [Fact]
    public void An_expired_entry_no_longer_applies()
    {
        var entry = RegistrationEntryTests.Entry() with { ExpiresAt = Now };
        Assert.Empty(Match([entry], "unix:uid:1"));
        Assert.Single(Match([entry with { ExpiresAt = Now.AddSeconds(1) }], "unix:uid:1"));
    }

    [Fact]
    public void The_oldest_entry_comes_first_and_of_two_as_old_the_one_that_was_given_first()
    {
        var older = RegistrationEntryTests.Entry("c") with { CreatedAt = Now };
        var asOld = RegistrationEntryTests.Entry("b") with { CreatedAt = Now };
        var younger = RegistrationEntryTests.Entry("a") with { CreatedAt = Now.AddSeconds(1) };
        Assert.Equal(["c", "b", "a"], Match([younger, older, asOld], "unix:uid:1").Select(entry => entry.Id));
    }

    [Fact]
    public void An_agent_gets_its_own_entries_those_below_them_and_those_of_its_aliases_but_no_others()
    {
        RegistrationEntry[] entries =
        [
            RegistrationEntryTests.Entry("own"),
            RegistrationEntryTests.Entry("below", "spiffe://example.org/below", "spiffe://example.org/web"),
            RegistrationEntryTests.Entry("alias", "spiffe://example.org/cluster", Server.Uri, "join_token:a"),
            RegistrationEntryTests.Entry("by-alias", "spiffe://example.org/db", "spiffe://example.org/cluster"),
            RegistrationEntryTests.Entry("other-agent", "spiffe://example.org/x", "spiffe://example.org/spire/agent/join_token/b"),
            RegistrationEntryTests.Entry("other-alias", "spiffe://example.org/y", Server.Uri, "join_token:b"),
        ];
        var node = new HashSet<Selector> { new("join_token", "a") };
        var reach = EntryMatcher.ForAgent(Under(entries), Agent, node, Server, Now);
        Assert.Equal(["below", "by-alias", "own"], reach.Entries.Select(entry => entry.Id).Order());
        Assert.Equal(
            ["/below", "/cluster", "/db", "/spire/agent/join_token/a", "/spire/server", "/web"],
            reach.Parents.Select(parent => parent.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_an_agent_gets_holds_until_the_first_of_what_it_was_reached_through_expires()
    {
        RegistrationEntry[] entries =
        [
            RegistrationEntryTests.Entry("alias", "spiffe://example.org/cluster", Server.Uri, "join_token:a") with { ExpiresAt = Now.AddHours(1) },
            RegistrationEntryTests.Entry("by-alias", "spiffe://example.org/db", "spiffe://example.org/cluster") with { ExpiresAt = Now.AddHours(2) },
            RegistrationEntryTests.Entry("gone", "spiffe://example.org/gone", Agent.Uri) with { ExpiresAt = Now },
            RegistrationEntryTests.Entry("not-mine", "spiffe://example.org/x", Server.Uri, "join_token:b") with { ExpiresAt = Now.AddMinutes(1) },
        ];
        var node = new HashSet<Selector> { new("join_token", "a") };
        Assert.Equal(Now.AddHours(1), EntryMatcher.ForAgent(Under(entries), Agent, node, Server, Now).Until);
        Assert.Empty(EntryMatcher.ForAgent(Under(entries), Agent, node, Server, Now.AddHours(1)).Entries);
        Assert.Null(EntryMatcher.ForAgent(Under([RegistrationEntryTests.Entry()]), Agent, node, Server, Now).Until);
    }

    [Fact]
    public void Entries_that_are_each_others_parents_end()
    {
        RegistrationEntry[] entries =
        [
            RegistrationEntryTests.Entry("own"),
            RegistrationEntryTests.Entry("x", "spiffe://example.org/x", "spiffe://example.org/web"),
            RegistrationEntryTests.Entry("y", "spiffe://example.org/web", "spiffe://example.org/x", "unix:uid:9"),
        ];
        Assert.Equal(3, EntryMatcher.ForAgent(Under(entries), Agent, new HashSet<Selector>(), Server, Now).Entries.Count);
    }

    [Fact]
    public void More_selectors_on_a_workload_never_take_an_identity_away() =>
        Prop.ForAll(
            Gen.Choose(0, 255).ToArbitrary(), Gen.Choose(0, 255).ToArbitrary(), Gen.Choose(0, 7).ToArbitrary(),
            (demanded, held, extra) =>
            {
                var entry = RegistrationEntryTests.Entry() with { Selectors = [.. Bits(demanded | 1)] };
                var before = EntryMatcher.ForWorkload([entry], Bits(held).ToHashSet(), Now).Count;
                var after = EntryMatcher.ForWorkload([entry], Bits(held | (1 << extra)).ToHashSet(), Now).Count;
                return after >= before;
            }).QuickCheckThrowOnFailure();

    private static IEnumerable<Selector> Bits(int bits) =>
        Enumerable.Range(0, 8).Where(bit => (bits & (1 << bit)) != 0).Select(bit => new Selector("unix", $"uid:{bit}"));

    private static IReadOnlyList<RegistrationEntry> Match(IEnumerable<RegistrationEntry> entries, params string[] selectors) =>
        EntryMatcher.ForWorkload(entries, selectors.Select(text => Selector.TryParse(text, out var selector, out _) ? selector : default).ToHashSet(), Now);

    private static Func<SpiffeId, IEnumerable<RegistrationEntry>> Under(RegistrationEntry[] entries) => parent => entries.Where(entry => entry.ParentId == parent);
}
