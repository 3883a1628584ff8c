using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Registration;

namespace Signet.UnitTests.Server.Registration;

public sealed class EntryPlanTests
{
    private static readonly SpiffeId Agent = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/a");

    [Fact]
    public void What_is_missing_is_created_what_differs_updated_and_what_is_no_longer_wanted_deleted()
    {
        var table = EntryTable.Empty.With([Mine("1", "/same"), Mine("2", "/changed") with { Hint = "old" }, Mine("3", "/gone")]);
        var plan = EntryPlan.Of(table, "folder", [Wanted("/same"), Wanted("/changed") with { Hint = "new" }, Wanted("/fresh")]);
        Assert.Equal("/fresh", Assert.Single(plan.Of(EntryStep.Create)).Entry.SpiffeId.Path);
        Assert.Equal("3", Assert.Single(plan.Of(EntryStep.Delete)).Entry.Id);
        Assert.Equal("1", Assert.Single(plan.Of(EntryStep.Keep)).Entry.Id);
        var update = Assert.Single(plan.Of(EntryStep.Update));
        Assert.Equal(("2", "new", "folder"), (update.Entry.Id, update.Entry.Hint, update.Entry.Owner));
        Assert.Equal(new EntryDifference("hint", "old", "new"), Assert.Single(update.Differences));
        Assert.False(plan.IsDone);
    }

    [Theory]
    [InlineData("")]
    [InlineData("somebody")]
    public void Entries_of_others_are_left_alone_whatever_they_say(string owner)
    {
        var other = Mine("1", "/theirs") with { Owner = owner };
        var table = EntryTable.Empty.With([other, Mine("2", "/shared") with { Owner = owner, Hint = "theirs" }]);
        var plan = EntryPlan.Of(table, "folder", [Wanted("/shared")]);
        var conflict = Assert.Single(plan.Changes);
        Assert.Equal((EntryStep.Conflict, "2", owner), (conflict.Step, conflict.Entry.Id, conflict.Holder));
        Assert.Equal("hint", Assert.Single(conflict.Differences).Field);
        Assert.True(plan.IsDone);
    }

    [Fact]
    public void Another_identity_or_parent_or_set_of_selectors_is_another_entry()
    {
        var table = EntryTable.Empty.With([Mine("1", "/web")]);
        var plan = EntryPlan.Of(table, "folder", [Wanted("/web") with { Selectors = [new("unix", "uid:2")] }]);
        Assert.Single(plan.Of(EntryStep.Create));
        Assert.Single(plan.Of(EntryStep.Delete));
    }

    [Theory]
    [InlineData(11, 0, true)]
    [InlineData(11, 10, true)]
    [InlineData(11, 11, false)]
    [InlineData(10, 0, false)]
    public void Deleting_most_of_many_entries_is_noticed(int deleted, int kept, bool isMost)
    {
        var stays = Enumerable.Range(0, kept).Select(i => Mine($"k{i}", $"/k{i}")).ToArray();
        var goes = Enumerable.Range(0, deleted).Select(i => Mine($"d{i}", $"/d{i}"));
        Assert.Equal(isMost, EntryPlan.Of(EntryTable.Empty.With(stays.Concat(goes)), "folder", stays).DeletesMost);
    }

    [Theory]
    [InlineData("team/payments", true)]
    [InlineData("", false)]
    [InlineData("two words", false)]
    [InlineData("line\nbreak", false)]
    public void An_owner_has_a_plain_name(string owner, bool isGood) => Assert.Equal(isGood, EntryPlan.OwnerProblem(owner) is null);

    private static RegistrationEntry Wanted(string path) => EntryTableTests.Entry("", path, Agent);

    private static RegistrationEntry Mine(string id, string path) => EntryTableTests.Entry(id, path, Agent) with { Owner = "folder" };
}
