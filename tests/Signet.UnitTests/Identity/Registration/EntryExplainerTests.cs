using Signet.Identity.Registration;

namespace Signet.UnitTests.Identity.Registration;

public sealed class EntryExplainerTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void What_fits_and_what_nearly_fits_is_told_nearest_first()
    {
        RegistrationEntry[] entries =
        [
            RegistrationEntryTests.Entry("two-off", selectors: ["unix:uid:2", "unix:gid:2", "unix:path:/bin/web"]),
            RegistrationEntryTests.Entry("fits", selectors: ["unix:uid:1"]),
            RegistrationEntryTests.Entry("one-off", selectors: ["unix:uid:2", "unix:path:/bin/web"]),
            RegistrationEntryTests.Entry("far", selectors: ["k8s:ns:shop"]),
        ];
        var told = Explain(entries, "unix:uid:1", "unix:gid:1", "unix:path:/bin/web");
        Assert.Equal("fits", Assert.Single(told.Matches).Id);
        Assert.Equal(["one-off", "two-off"], told.NearMisses.Select(miss => miss.Entry.Id));
        Assert.Equal("unix:uid:2", Assert.Single(told.NearMisses[0].Missing).ToString());
        Assert.Equal("it demands unix:uid:2, and the workload has unix:uid:1", Assert.Single(told.NearMisses[0].Reasons));
    }

    [Fact]
    public void An_entry_that_has_expired_or_is_out_of_reach_says_so()
    {
        RegistrationEntry[] entries = [RegistrationEntryTests.Entry("expired") with { ExpiresAt = Now.AddHours(-1) }, RegistrationEntryTests.Entry("elsewhere")];
        var told = EntryExplainer.Explain(entries, Set("unix:uid:1"), entry => entry.Id == "elsewhere" ? "its parent is another node" : null, Now);
        Assert.Empty(told.Matches);
        Assert.Equal(["its parent is another node", "the entry expired at 2029-12-31 23:00:00Z"], told.NearMisses.SelectMany(miss => miss.Reasons).Order());
    }

    [Fact]
    public void A_selector_of_a_type_that_nothing_is_known_of_points_at_the_attestor()
    {
        var told = Explain([RegistrationEntryTests.Entry(selectors: ["unix:uid:1", "k8s:ns:shop"])], "unix:uid:1");
        Assert.Contains("is that attestor on", Assert.Single(Assert.Single(told.NearMisses).Reasons));
    }

    [Fact]
    public void Few_near_misses_are_told_and_none_that_has_nothing_in_common()
    {
        var many = Enumerable.Range(2, 20).Select(i => RegistrationEntryTests.Entry($"{i:00}", selectors: [$"unix:uid:{i}"])).ToArray();
        Assert.Equal(EntryExplainer.MaxNearMisses, Explain(many, "unix:uid:1").NearMisses.Count);
        Assert.Empty(Explain([RegistrationEntryTests.Entry(selectors: ["k8s:ns:shop"])], "unix:uid:1").NearMisses);
    }

    private static EntryExplanation Explain(RegistrationEntry[] entries, params string[] selectors) => EntryExplainer.Explain(entries, Set(selectors), _ => null, Now);

    private static HashSet<Selector> Set(params string[] selectors) =>
        [.. selectors.Select(text => Selector.TryParse(text, out var selector, out var problem) ? selector : throw new ArgumentException(problem))];
}
