using Signet.Identity.Spiffe;
using Signet.Server.Registration;

namespace Signet.UnitTests.Server.Registration;

public sealed class EntryWatchersTests
{
    private static readonly SpiffeId A = SpiffeId.Parse("spiffe://example.org/a");
    private static readonly SpiffeId B = SpiffeId.Parse("spiffe://example.org/b");
    private readonly EntryWatchers _watchers = new(TimeProvider.System);

    [Fact]
    public void Only_who_follows_a_parent_is_woken_by_a_change_under_it()
    {
        using var one = _watchers.Begin();
        using var other = _watchers.Begin();
        one.Follow(Set(A));
        other.Follow(Set(B));
        _watchers.Wake([A]);
        Assert.Equal((1, 0), (one.Changes.Version, other.Changes.Version));
    }

    [Fact]
    public void A_change_under_several_parents_wakes_once()
    {
        using var watch = _watchers.Begin();
        watch.Follow(Set(A, B));
        _watchers.Wake([A, B]);
        Assert.Equal(1, watch.Changes.Version);
    }

    [Fact]
    public void Following_says_whether_there_is_something_that_may_have_changed_unnoticed()
    {
        using var watch = _watchers.Begin();
        Assert.True(watch.Follow(Set(A)));
        Assert.False(watch.Follow(Set(A)));
        Assert.True(watch.Follow(Set(B)));
        Assert.False(watch.Follow(Set()));
    }

    [Fact]
    public void Who_no_longer_follows_or_is_gone_is_not_woken()
    {
        var watch = _watchers.Begin();
        watch.Follow(Set(A, B));
        watch.Follow(Set(B));
        _watchers.Wake([A]);
        watch.Dispose();
        _watchers.Wake([B]);
        Assert.Equal(0, watch.Changes.Version);
    }

    private static HashSet<SpiffeId> Set(params SpiffeId[] ids) => [.. ids];
}
