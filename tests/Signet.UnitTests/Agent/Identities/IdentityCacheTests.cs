using System.Collections.Immutable;
using Signet.Agent.Identities;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Identities;

public sealed class IdentityCacheTests
{
    private readonly IdentityCache _cache = new(maxRecent: 3);

    [Fact]
    public void Remembers_what_was_used_the_last_first_and_no_more_than_its_limit()
    {
        Use("a", "b");
        Use("c");
        Use("a");
        Assert.Equal(["a", "c", "b"], _cache.Recent);
        Use("d");
        Assert.Equal(["d", "a", "c"], _cache.Recent);
    }

    [Fact]
    public void Says_so_when_something_is_used_that_has_no_SVID_and_not_otherwise()
    {
        var version = _cache.Wanted.Version;
        Use("a");
        Assert.Equal(version + 1, _cache.Wanted.Version);
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        _cache.Publish(IdentitySnapshot.Empty with { Held = ImmutableDictionary<string, HeldSvid>.Empty.Add("a", new HeldSvid(Entry("a"), new TestAuthority(now).Svid("/a"), now)) });
        Use("a");
        Assert.Equal(version + 1, _cache.Wanted.Version);
    }

    [Fact]
    public void Begins_with_what_was_kept_and_counts_it_as_used()
    {
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var restored = IdentitySnapshot.Empty with { Held = ImmutableDictionary<string, HeldSvid>.Empty.Add("a", new HeldSvid(Entry("a"), new TestAuthority(now).Svid("/a"), now)) };
        var cache = new IdentityCache(restored);
        Assert.Same(restored, cache.Current);
        Assert.Equal(["a"], cache.Recent);

        // So a node with less room than entries goes on serving it before anybody has come back.
        var view = NodeView.Nothing with { Revision = 1, Entries = [Entry("a"), Entry("b")] };
        Assert.Equal(["a"], SvidChoice.Of(view, restored.Held, [], cache.Recent, new CacheConfig { Svids = 1 }, now).Entries.Select(entry => entry.Id));
        Assert.Same(IdentitySnapshot.Empty, _cache.Current);
    }

    private void Use(params string[] names) => _cache.Use([.. names.Reverse().Select(Entry)]);

    private static RegistrationEntry Entry(string name) => new()
    {
        Id = name,
        SpiffeId = SpiffeId.Parse($"spiffe://example.org/{name}"),
        ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
        Selectors = [new Selector("unix", "uid:1")],
    };
}
