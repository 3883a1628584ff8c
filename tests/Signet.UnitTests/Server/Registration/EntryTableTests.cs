using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Registration;

namespace Signet.UnitTests.Server.Registration;

public sealed class EntryTableTests
{
    private static readonly SpiffeId Agent = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/a");
    private static readonly SpiffeId Other = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/b");

    [Fact]
    public void Entries_are_found_by_ID_by_parent_and_by_what_they_say()
    {
        var table = EntryTable.Empty.With([Entry("1", "/web", Agent), Entry("2", "/db", Agent), Entry("3", "/web", Other)]);
        Assert.Equal("/db", table.ById["2"].SpiffeId.Path);
        Assert.Equal(["1", "2"], table.Under(Agent).Select(entry => entry.Id).Order());
        Assert.Equal("3", table.SameAs(Entry("", "/web", Other))!.Id);
        Assert.Null(table.SameAs(Entry("", "/db", Other)));
        Assert.Empty(table.Under(SpiffeId.Parse("spiffe://example.org/spire/server")));
    }

    [Fact]
    public void The_order_of_selectors_and_saying_one_twice_make_no_difference()
    {
        var table = EntryTable.Empty.With([Entry("1", "/web", Agent, "unix:uid:1", "unix:gid:2")]);
        Assert.NotNull(table.SameAs(Entry("", "/web", Agent, "unix:gid:2", "unix:uid:1", "unix:gid:2")));
        Assert.Null(table.SameAs(Entry("", "/web", Agent, "unix:gid:2")));
    }

    [Fact]
    public void An_entry_in_the_place_of_another_is_no_longer_found_where_that_one_was()
    {
        var table = EntryTable.Empty.With([Entry("1", "/web", Agent)]).With([Entry("1", "/shop", Other)]);
        Assert.Empty(table.Under(Agent));
        Assert.Null(table.SameAs(Entry("", "/web", Agent)));
        Assert.Equal("/shop", Assert.Single(table.Under(Other)).SpiffeId.Path);
    }

    [Fact]
    public void A_table_never_changes_and_versions_tell_tables_apart()
    {
        var one = EntryTable.Empty.With([Entry("1", "/web", Agent)]);
        var none = one.Without(["1", "unknown"]);
        Assert.Single(one.Under(Agent));
        Assert.Empty(none.Under(Agent));
        Assert.Null(none.SameAs(Entry("", "/web", Agent)));
        Assert.Equal(3, new[] { EntryTable.Empty.Version, one.Version, none.Version }.Distinct().Count());
    }

    internal static RegistrationEntry Entry(string id, string path, SpiffeId parent, params string[] selectors) => new()
    {
        Id = id,
        SpiffeId = SpiffeId.Parse("spiffe://example.org" + path),
        ParentId = parent,
        Selectors = [.. (selectors.Length > 0 ? selectors : ["unix:uid:1"]).Select(text => Selector.TryParse(text, out var selector, out var problem) ? selector : throw new ArgumentException(problem))],
    };
}
