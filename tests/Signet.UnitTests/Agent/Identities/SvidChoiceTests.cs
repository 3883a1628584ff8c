using System.Collections.Immutable;
using Signet.Agent.Identities;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Identities;

public sealed class SvidChoiceTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TestAuthority Authority = new(Now);

    [Fact]
    public void While_there_is_room_every_entry_gets_an_SVID()
    {
        var choice = Choose(Node(3), svids: 3);
        Assert.Equal(["0", "1", "2"], Ids(choice));
        Assert.False(choice.IsTight);
    }

    [Fact]
    public void Without_room_for_all_what_nobody_uses_gets_none()
    {
        var choice = Choose(Node(4), svids: 3);
        Assert.Empty(choice.Entries);
        Assert.True(choice.IsTight);
        Assert.Equal(0, choice.Refused);
    }

    [Fact]
    public void What_streams_wait_for_comes_before_what_was_used_last() =>
        Assert.Equal(["7", "3", "5"], Ids(Choose(Node(10), svids: 3, subscribed: [7], recent: ["3", "5", "1"])));

    [Fact]
    public void Of_what_was_used_the_last_stays() => Assert.Equal(["9", "2"], Ids(Choose(Node(10), svids: 2, recent: ["9", "2", "4"])));

    [Fact]
    public void Who_is_served_goes_on_being_served_when_somebody_else_comes_and_the_rest_is_counted()
    {
        var choice = Choose(Node(10), svids: 2, subscribed: [1, 2, 3], held: [2, 3]);
        Assert.Equal(["2", "3"], Ids(choice));
        Assert.Equal(1, choice.Refused);
    }

    [Fact]
    public void An_entry_that_several_streams_wait_for_takes_one_place() =>
        Assert.Equal(["1", "2"], Ids(Choose(Node(10), svids: 5, subscribed: [1, 1, 2], recent: ["1", "2"])));

    [Fact]
    public void The_limit_in_bytes_holds_as_the_one_in_number_does()
    {
        Assert.Equal(2, Choose(Node(10), svids: 10, bytes: 2 * HeldSvid.TypicalBytes, recent: ["1", "2", "3"]).Entries.Count);
        Assert.Equal(3, Choose(Node(3), svids: 10, bytes: 3 * HeldSvid.TypicalBytes).Entries.Count);
    }

    [Fact]
    public void What_was_used_and_is_gone_takes_no_place() => Assert.Equal(["1"], Ids(Choose(Node(10), svids: 1, recent: ["gone", "1"])));

    [Fact]
    public void A_workload_has_its_oldest_entries_identities_up_to_the_limit_of_one_message()
    {
        var view = Node(IdentitySnapshot.MaxPerWorkload + 10, _ => 0);
        Assert.Equal(IdentitySnapshot.MaxPerWorkload, new IdentitySnapshot(view, []).Matching(Selectors(0), Now).Count);
        var choice = Choose(view, svids: IdentitySnapshot.MaxPerWorkload + 5, subscribed: [0]);
        Assert.Equal(IdentitySnapshot.MaxPerWorkload, choice.Entries.Count);
        Assert.Equal("0", choice.Entries[0].Id);
    }

    private static IEnumerable<string> Ids(SvidChoice choice) => choice.Entries.Select(entry => entry.Id);

    private static SvidChoice Choose(NodeView view, int svids, long bytes = long.MaxValue, int[]? subscribed = null, string[]? recent = null, int[]? held = null) => SvidChoice.Of(
        view,
        (held ?? []).ToImmutableDictionary(number => $"{number}", number => new HeldSvid(view.Entries[number], Authority.Svid($"/{number}"), Now.AddMinutes(30))),
        [.. (subscribed ?? []).Select(Selectors)],
        recent ?? [],
        new CacheConfig { Svids = svids, Bytes = bytes },
        Now);

    private static HashSet<Selector> Selectors(int uid) => [new Selector("unix", $"uid:{uid}"), new Selector("unix", "gid:1")];

    private static NodeView Node(int entries, Func<int, int>? uid = null) => NodeView.Nothing with
    {
        Revision = 1,
        Entries = [.. Enumerable.Range(0, entries).Select(number => new RegistrationEntry
        {
            Id = $"{number}",
            SpiffeId = SpiffeId.Parse($"spiffe://example.org/{number}"),
            ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
            Selectors = [new Selector("unix", $"uid:{uid?.Invoke(number) ?? number}")],
        })],
    };
}
