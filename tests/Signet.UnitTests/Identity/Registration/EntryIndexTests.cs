using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Identity.Registration;

public sealed class EntryIndexTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Finds_what_looking_at_all_entries_finds_in_the_same_order() =>
        Prop.ForAll<byte[][], byte[]>((entries, workload) =>
        {
            var all = entries.Select((selectors, i) => Entry(i, selectors)).ToImmutableArray();
            var has = workload.Select(Of).ToHashSet();
            Assert.Equal(EntryMatcher.ForWorkload(all, has, Now).Select(entry => entry.Id), new EntryIndex(all).ForWorkload(has, Now).Select(entry => entry.Id));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void An_entry_needs_all_of_its_selectors_and_one_without_any_fits_nobody()
    {
        var index = new EntryIndex([Entry(0, [1, 2]), Entry(1, []), Entry(2, [2, 2])]);
        Assert.Equal(["0", "2"], index.ForWorkload(new HashSet<Selector> { Of(1), Of(2), Of(3) }, Now).Select(entry => entry.Id));
        Assert.Equal(["2"], index.ForWorkload(new HashSet<Selector> { Of(2) }, Now).Select(entry => entry.Id));
        Assert.Empty(index.ForWorkload(new HashSet<Selector>(), Now));
    }

    [Fact]
    public void What_has_expired_is_not_found()
    {
        var index = new EntryIndex([Entry(0, [1]) with { ExpiresAt = Now }]);
        Assert.Empty(index.ForWorkload(new HashSet<Selector> { Of(1) }, Now));
        Assert.Single(index.ForWorkload(new HashSet<Selector> { Of(1) }, Now.AddSeconds(-1)));
    }

    [Fact]
    public void Tells_what_entries_ask_about()
    {
        var index = new EntryIndex([Entry(0, [1]), Entry(1, [2]) with { Selectors = [new Selector("unix", "sha256:ab"), new Selector("spiffe_id", "x")] }]);
        Assert.True(index.Asks("unix", "sha256"));
        Assert.False(index.Asks("unix", "path"));
        Assert.False(index.Asks("docker", "sha256"));
        Assert.Equal(["sha256", "uid"], index.KeysOf("unix").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Indexes_of_the_same_entries_are_equal_and_of_others_are_not()
    {
        ImmutableArray<RegistrationEntry> entries = [Entry(0, [1])];
        Assert.Equal(new EntryIndex(entries), new EntryIndex(entries));
        Assert.NotEqual(new EntryIndex(entries), EntryIndex.Empty);
    }

    // Few different selectors, so that they meet; creation times that repeat, so that order matters.
    private static RegistrationEntry Entry(int number, byte[]? selectors) => new()
    {
        Id = $"{number}",
        SpiffeId = SpiffeId.Parse($"spiffe://example.org/{number}"),
        ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
        Selectors = [.. (selectors ?? []).Select(Of)],
        CreatedAt = Now.AddSeconds(number % 3),
    };

    private static Selector Of(byte number) => new("unix", $"uid:{number % 5}");
}
