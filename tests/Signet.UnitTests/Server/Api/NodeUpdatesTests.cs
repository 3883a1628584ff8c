using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Signet.Agent.Identities;
using Signet.Agent.Wire;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Rpc.Wire.Node;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Api;
using Signet.Testing;
using Signet.UnitTests.Server.Registration;

namespace Signet.UnitTests.Server.Api;

/// <summary>What the server says and what the agent makes of it.</summary>
public sealed class NodeUpdatesTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Agent = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/a");
    private static readonly Bundle Own = BundleOf("example.org");
    private static readonly Bundle Foreign = BundleOf("partner.example");

    [Fact]
    public void The_first_revision_is_said_whole_and_afresh()
    {
        var update = Assert.Single(NodeUpdates.Between(null, Image("1", "2"), 7));
        Assert.True(update.Afresh);
        Assert.False(update.More);
        Assert.Equal(7ul, update.Revision);
        Assert.Equal(["1", "2"], update.Entries.Select(entry => entry.Id).Order());
        Assert.Equal([Own], update.Bundles);
    }

    [Fact]
    public void Reading_and_keeping_very_many_entries_takes_little_more_memory_than_they_do()
    {
        const int Many = 20_000, PerEntry = 4_000, PerKept = 1_500;
        var updates = NodeUpdates.Between(null, new NodeImage(Enumerable.Range(0, Many).Select(i => Entry($"{i:D36}")).ToDictionary(entry => entry.Id), [Own]), 7).ToArray();
        Assert.All(updates, update => Assert.InRange(update.CalculateSize(), 1, 1024 * 1024));
        var reader = new NodeUpdateReader(Domain);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var view = View(updates.Select(reader.Read).ToArray()[^1]);
        var read = GC.GetAllocatedBytesForCurrentThread();
        var kept = KeptIdentities.Encode(new RememberedView(Agent.Uri, DateTimeOffset.UnixEpoch, view));
        var encoded = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(Many, view.Entries.Length);
        Assert.True((read - before) / Many < PerEntry, $"{(read - before) / Many} bytes were allocated to read an entry");
        Assert.True((encoded - read) / Many < PerKept, $"{(encoded - read) / Many} bytes were allocated to keep an entry of {kept.Length / Many} bytes");
    }

    [Fact]
    public void Nothing_is_said_when_nothing_differs()
    {
        var image = Image("1");
        Assert.Empty(NodeUpdates.Between(image, image with { }, 8));
        Assert.Single(NodeUpdates.Between(null, new NodeImage(new Dictionary<string, RegistrationEntry>(), []), 8));
    }

    [Fact]
    public void Only_what_differs_is_said()
    {
        var before = Image("1", "2");
        var entries = new Dictionary<string, RegistrationEntry>(before.Entries) { ["3"] = Entry("3") };
        entries.Remove("1");
        var update = Assert.Single(NodeUpdates.Between(before, new NodeImage(entries, [Own, Foreign]), 9));
        Assert.False(update.Afresh);
        Assert.Equal("3", Assert.Single(update.Entries).Id);
        Assert.Equal("1", Assert.Single(update.RemovedEntries));
        Assert.Equal(Foreign, Assert.Single(update.Bundles));
    }

    [Fact]
    public void What_is_superseded_and_what_is_revoked_is_said_once_and_stays_until_it_is_said_anew()
    {
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        using var key = KeyPair.Generate(KeyType.EcP256);
        var anchor = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(key), now.AddDays(-1), now.AddDays(1), "anchor").SignSelf(key);
        var list = CertificateRevocationList.Sign(anchor, key, now, now.AddDays(1), 1, [anchor]);
        var before = Image("1");
        var after = before with { Authorities = new AuthorityNotice { Superseded = { "aa" }, Crls = { ByteString.CopyFrom(list.Der.Span) } } };
        var reader = new NodeUpdateReader(Domain);
        var quiet = Assert.Single(NodeUpdates.Between(null, before, 1));
        Assert.Null(quiet.Authorities);
        Assert.Empty(View(reader.Read(quiet)).Superseded);

        var view = View(reader.Read(Assert.Single(NodeUpdates.Between(before, after, 2))));
        Assert.Equal(["aa"], view.Superseded);
        Assert.Equal(list.NumberHex, Assert.Single(view.Bundles.Crls).NumberHex);
        Assert.Equal(view.Bundles.Find(Domain), view.Own);
        Assert.Empty(NodeUpdates.Between(after, after with { Authorities = after.Authorities.Clone() }, 3));

        var later = View(reader.Read(Assert.Single(NodeUpdates.Between(after, after with { Bundles = [Own, Foreign] }, 3))));
        Assert.Equal(["aa"], later.Superseded);
        Assert.Single(later.Bundles.Crls);
        Assert.Empty(View(reader.Read(Assert.Single(NodeUpdates.Between(null, before, 4)))).Bundles.Crls);
    }

    [Fact]
    public void A_revocation_list_that_is_none_refuses_the_whole_revision()
    {
        var reader = new NodeUpdateReader(Domain);
        var image = Image("1") with { Authorities = new AuthorityNotice { Crls = { ByteString.CopyFromUtf8("nonsense") } } };
        Assert.IsType<NodeReading.Refused>(reader.Read(Assert.Single(NodeUpdates.Between(null, image, 1))));
    }

    private static NodeView View(NodeReading reading) => Assert.IsType<NodeReading.Complete>(reading).View;

    [Fact]
    public void Many_entries_go_in_several_messages_none_of_which_counts_alone()
    {
        var image = Image([.. Enumerable.Range(0, (2 * NodeUpdates.MaxEntries) + 1).Select(i => $"{i}")]);
        var updates = NodeUpdates.Between(null, image, 1).ToArray();
        Assert.Equal([true, true, false], updates.Select(update => update.More));
        Assert.Equal([true, false, false], updates.Select(update => update.Afresh));
        var reader = new NodeUpdateReader(Domain);
        Assert.IsType<NodeReading.Incomplete>(reader.Read(updates[0]));
        Assert.IsType<NodeReading.Incomplete>(reader.Read(updates[1]));
        Assert.Equal(image.Entries.Count, Assert.IsType<NodeReading.Complete>(reader.Read(updates[2])).View.Entries.Length);
    }

    [Fact]
    public void Messages_stay_small_even_with_entries_as_large_as_they_may_be()
    {
        var selectors = Enumerable.Range(0, RegistrationEntry.MaxSelectors).Select(i => $"unix:path:{i}{new string('x', Signet.Identity.Registration.Selector.MaxLength - 20)}").ToArray();
        var entries = Enumerable.Range(0, 12).ToDictionary(i => $"{i}", i => EntryTableTests.Entry($"{i}", $"/{i}", Agent, selectors));
        var updates = NodeUpdates.Between(null, new NodeImage(entries, [Own]), 1).ToArray();
        Assert.True(updates.Length > 1);
        Assert.All(updates, update => Assert.InRange(update.CalculateSize(), 1, 2 * NodeUpdates.MaxBytes));
    }

    [Fact]
    public void Whatever_sequence_of_images_is_said_the_agent_ends_with_the_last() =>
        Prop.ForAll(Gen.Choose(0, 1023).ArrayOf().ToArbitrary(), masks =>
        {
            var reader = new NodeUpdateReader(Domain);
            NodeImage? told = null;
            foreach (var mask in masks)
            {
                var image = Image(mask);
                NodeView? view = null;
                foreach (var update in NodeUpdates.Between(told, image, 1))
                {
                    view = Assert.IsType<NodeReading.Complete>(reader.Read(NodeUpdate.Parser.ParseFrom(update.ToByteArray()))).View;
                }

                if (view is not null)
                {
                    Assert.Equal(image.Entries.Keys.Order(), view.Entries.Select(entry => entry.Id).Order());
                    Assert.Equal(image.Bundles.Select(bundle => bundle.TrustDomain).Order(), view.Bundles.All.Select(bundle => bundle.TrustDomain.Name).Order());
                    Assert.Equal(view.Bundles.All.Count, view.JwtBundles.Count);
                }

                told = image;
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void After_something_that_does_not_hold_nothing_counts_until_the_server_begins_afresh()
    {
        var reader = new NodeUpdateReader(Domain);
        var first = NodeUpdates.Between(null, Image("1"), 1).Single();
        Assert.IsType<NodeReading.Complete>(reader.Read(first));

        var broken = NodeUpdates.Between(Image("1"), Image("1", "2"), 2).Single();
        broken.Entries[0].SpiffeId = new SPIFFEID { TrustDomain = "UPPER", Path = "/x" };
        Assert.Contains("entry 2", Assert.IsType<NodeReading.Refused>(reader.Read(broken)).Problem);

        var next = NodeUpdates.Between(Image("1", "2"), Image("1", "2", "3"), 3).Single();
        Assert.Contains("differs", Assert.IsType<NodeReading.Refused>(reader.Read(next)).Problem);
        Assert.Equal(3, Assert.IsType<NodeReading.Complete>(reader.Read(NodeUpdates.Between(null, Image("1", "2", "3"), 4).Single())).View.Entries.Length);
    }

    [Fact]
    public void Differences_from_nothing_are_refused()
    {
        var update = new NodeUpdate { Revision = 5 };
        Assert.Contains("never came", Assert.IsType<NodeReading.Refused>(new NodeUpdateReader(Domain).Read(update)).Problem);
    }

    [Fact]
    public void A_revision_without_authorities_of_the_own_trust_domain_is_refused()
    {
        var update = NodeUpdates.Between(null, Image("1") with { Bundles = [Foreign] }, 1).Single();
        Assert.Contains("no authority of trust domain example.org", Assert.IsType<NodeReading.Refused>(new NodeUpdateReader(Domain).Read(update)).Problem);
    }

    [Fact]
    public void Entries_without_the_time_of_their_creation_are_refused()
    {
        var update = NodeUpdates.Between(null, Image("1"), 1).Single();
        update.EntriesCreated.Clear();
        Assert.Contains("1 entries and 0 times", Assert.IsType<NodeReading.Refused>(new NodeUpdateReader(Domain).Read(update)).Problem);
    }

    [Fact]
    public void An_oldest_entry_stays_first_when_a_younger_one_is_added_before_it()
    {
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var reader = new NodeUpdateReader(Domain);
        var old = new NodeImage(new Dictionary<string, RegistrationEntry> { ["z"] = Entry("z") with { CreatedAt = now } }, [Own]);
        reader.Read(NodeUpdates.Between(null, old, 1).Single());
        var both = old with { Entries = new Dictionary<string, RegistrationEntry>(old.Entries) { ["a"] = Entry("a") with { CreatedAt = now.AddMilliseconds(1) } } };
        var view = Assert.IsType<NodeReading.Complete>(reader.Read(NodeUpdates.Between(old, both, 2).Single())).View;
        Assert.Equal(["z", "a"], view.Entries.Select(entry => entry.Id));
    }

    // Ten entries and a bundle, each there or not.
    private static readonly RegistrationEntry[] Pool = [.. Enumerable.Range(0, 9).Select(i => Entry($"{i}"))];

    private static NodeImage Image(int mask) => new(
        Pool.Where((_, i) => (mask >> i & 1) == 1).ToDictionary(entry => entry.Id),
        (mask >> 9 & 1) == 1 ? [Own, Foreign] : [Own]);

    private static readonly Dictionary<string, RegistrationEntry> Made = [];

    private static NodeImage Image(params string[] ids) => new(ids.ToDictionary(id => id, Known), [Own]);

    private static RegistrationEntry Known(string id)
    {
        lock (Made)
        {
            return Made.TryGetValue(id, out var entry) ? entry : Made[id] = Entry(id);
        }
    }

    private static RegistrationEntry Entry(string id) => EntryTableTests.Entry(id, $"/w/{id}", Agent);

    private static Bundle BundleOf(string name)
    {
        var authority = new TestAuthority(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero), name);
        var bundle = new Bundle { TrustDomain = name, SequenceNumber = 1 };
        bundle.X509Authorities.AddRange(authority.Bundle.Authorities.Select(certificate => new X509Certificate { Asn1 = ByteString.CopyFrom(certificate.Der.Span) }));
        return bundle;
    }
}
