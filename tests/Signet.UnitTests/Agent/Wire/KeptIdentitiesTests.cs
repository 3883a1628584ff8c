using FsCheck;
using FsCheck.Fluent;
using Signet.Agent.Identities;
using Signet.Agent.Wire;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Wire;

public sealed class KeptIdentitiesTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TestAuthority Authority = new(Now);
    private static readonly byte[] Kept = KeptIdentities.Encode(new RememberedView("spiffe://example.org/agent", Now, View(3))).ToArray();
    private static readonly byte[] Svids = KeptIdentities.Encode("spiffe://example.org/agent", [new HeldSvid(Entry(0), Authority.Svid("/0"), Now)]);

    [Fact]
    public void More_entries_than_one_message_holds_come_back_in_order()
    {
        var content = KeptIdentities.Encode(new RememberedView("a", Now, View(1234))).ToArray();
        Assert.True(KeptIdentities.TryReadView(content, Authority.TrustDomain, out var remembered, out var problem), problem);
        Assert.Equal(Enumerable.Range(0, 1234).Select(number => $"{number:0000}"), remembered.View.Entries.Select(entry => entry.Id));
    }

    [Fact]
    public void What_was_cut_anywhere_is_refused()
    {
        for (var length = 0; length < Kept.Length; length++)
        {
            Assert.False(KeptIdentities.TryReadView(Kept[..length], Authority.TrustDomain, out _, out var problem));
            Assert.NotEmpty(problem);
        }
    }

    [Fact]
    public void Entries_of_another_trust_domain_are_refused() =>
        Assert.False(KeptIdentities.TryReadView(Kept, TrustDomain.Parse("other.example"), out _, out _));

    [Fact]
    public void Nothing_that_is_read_makes_it_throw() =>
        Prop.ForAll<byte[], ushort, byte>((noise, place, value) =>
        {
            foreach (var content in new[] { noise, Changed(Kept, place, value), Changed(Svids, place, value) })
            {
                KeptIdentities.TryReadView(content, Authority.TrustDomain, out _, out _);
                KeptIdentities.TryReadSvids(content, out _, out _, out _);
            }
        }).QuickCheckThrowOnFailure();

    private static byte[] Changed(byte[] content, ushort place, byte value)
    {
        var changed = content.ToArray();
        changed[place % changed.Length] = value;
        return changed;
    }

    private static NodeView View(int entries) => NodeView.Nothing with
    {
        Revision = 1,
        Entries = [.. Enumerable.Range(0, entries).Select(Entry)],
        Bundles = TrustBundles.Of(Authority.Bundle),
    };

    private static RegistrationEntry Entry(int number) => new()
    {
        Id = $"{number:0000}",
        SpiffeId = SpiffeId.Parse($"spiffe://example.org/{number}"),
        ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
        Selectors = [new Selector("unix", $"uid:{number}")],
        CreatedAt = Now,
    };
}
