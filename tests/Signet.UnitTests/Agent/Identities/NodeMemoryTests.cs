using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.UnitTests.Agent.Identities;

public sealed class NodeMemoryTests : IDisposable
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TestAuthority Authority = new(Start);
    private static readonly TestAuthority Other = new(Start, "other.example");
    private static readonly RegistrationEntry Web = Entry("web") with
    {
        Hint = "outside",
        DnsNames = ["web.example.org"],
        FederatesWith = [Other.TrustDomain],
        X509Ttl = TimeSpan.FromHours(1),
        CreatedAt = Start.AddMilliseconds(-1),
        ExpiresAt = Start.AddDays(1),
    };

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new(Start);
    private readonly RememberedLog _log = new();
    private string _agent = "/spire/agent/join_token/a";

    [Fact]
    public void What_was_served_is_served_again_after_a_restart()
    {
        var before = Snapshot(Held(Web, "/web"), Held(Entry("api"), "/api"));
        Memory().Keep(before, isInTouch: true);
        _time.Advance(TimeSpan.FromMinutes(30));
        var after = Memory().Restore();

        Assert.Equal(before.View.Revision, after.View.Revision);
        Assert.Equal(["web", "api"], after.View.Entries.Select(entry => entry.Id));
        Assert.Empty(after.View.Entries[0].DifferencesFrom(Web));
        Assert.Equal(Web.CreatedAt, after.View.Entries[0].CreatedAt);
        Assert.Equal(before.View.Bundles, after.View.Bundles);
        Assert.Equal(before.View.Own, after.View.Own);
        Assert.Equal(before.View.JwtBundles[Authority.TrustDomain], after.View.JwtBundles[Authority.TrustDomain]);
        Assert.Equal(before.View.Superseded, after.View.Superseded);
        var (kept, was) = (after.Held["web"].Svid, before.Held["web"].Svid);
        Assert.Equal(was.Chain, kept.Chain);
        Assert.Equal(was.ExportKeyPkcs8(), kept.ExportKeyPkcs8());
        Assert.Equal("outside", kept.Hint);
        Assert.Same(kept.Chain[1], after.Held["api"].Svid.Chain[1]);

        // Nothing is asked for again because of a restart.
        Assert.Empty(SvidPlan.Of(after.View, after.View.Entries, after.Held, Start.AddMinutes(-1)).Due);
        Assert.Single(_log.WithId(3510));
    }

    [Fact]
    public void The_first_start_has_nothing_and_complains_of_nothing()
    {
        Assert.Same(IdentitySnapshot.Empty, Memory().Restore());
        Assert.Empty(_log.WithId(3511));
    }

    [Fact]
    public void An_SVID_that_expired_meanwhile_is_gone_and_the_others_are_there()
    {
        Memory().Keep(Snapshot(Held(Web, "/web"), new HeldSvid(Entry("api"), Authority.Svid("/api", Start, Start.AddMinutes(5)), Start)), isInTouch: true);
        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(["web"], Memory().Restore().Held.Keys);
    }

    [Fact]
    public void Under_a_clock_before_its_beginning_an_SVID_is_not_served()
    {
        Memory().Keep(Snapshot(Held(Web, "/web")), isInTouch: true);
        _time.Jump(Start.AddHours(-2));
        Assert.Empty(Memory().Restore().Held);
        Assert.Contains("this node's clock", Assert.Single(_log.WithId(3511)), StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_confirmed_too_long_ago_is_not_served()
    {
        Memory().Keep(Snapshot(), isInTouch: true);
        _time.Advance(TimeSpan.FromHours(24));
        Assert.Single(Memory().Restore().View.Entries);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Same(IdentitySnapshot.Empty, Memory().Restore());
        Assert.Contains("cache.maxAge", Assert.Single(_log.WithId(3511)), StringComparison.Ordinal);
    }

    [Fact]
    public void While_the_server_is_in_touch_what_does_not_change_stays_confirmed_and_otherwise_it_ages()
    {
        var (memory, snapshot) = (Memory(), Snapshot());
        memory.Keep(snapshot, isInTouch: true);
        _time.Advance(TimeSpan.FromHours(20));
        memory.Keep(snapshot, isInTouch: true);
        _time.Advance(TimeSpan.FromHours(20));
        memory.Keep(snapshot, isInTouch: false);
        Assert.Single(Memory().Restore().View.Entries);
        _time.Advance(TimeSpan.FromHours(5));
        Assert.Same(IdentitySnapshot.Empty, Memory().Restore());
    }

    [Fact]
    public void An_agent_restarted_during_an_outage_does_not_make_what_it_has_any_younger()
    {
        Memory().Keep(Snapshot(), isInTouch: true);
        _time.Advance(TimeSpan.FromHours(20));
        var memory = Memory();
        memory.Keep(memory.Restore(), isInTouch: false);
        _time.Advance(TimeSpan.FromHours(5));
        Assert.Same(IdentitySnapshot.Empty, Memory().Restore());
    }

    [Fact]
    public void What_another_agent_kept_is_not_served()
    {
        Memory().Keep(Snapshot(Held(Web, "/web")), isInTouch: true);
        _agent = "/spire/agent/join_token/b";
        Assert.Same(IdentitySnapshot.Empty, Memory().Restore());
        Assert.Contains("join_token/a", Assert.Single(_log.WithId(3511)), StringComparison.Ordinal);
    }

    [Fact]
    public void An_agent_without_an_identity_of_its_own_serves_and_keeps_nothing()
    {
        Memory().Keep(Snapshot(Held(Web, "/web")), isInTouch: true);
        _agent = "";
        Assert.Same(IdentitySnapshot.Empty, Memory().Restore());
        Directory.Delete(_folder.File("cache"), recursive: true);
        Memory().Keep(Snapshot(Held(Web, "/web")), isInTouch: true);
        Assert.Empty(Directory.EnumerateFiles(_folder.File("cache"), "*.sealed"));
    }

    [Fact]
    public void With_SVIDs_that_were_tampered_with_the_entries_still_serve_and_the_reason_is_told()
    {
        Memory().Keep(Snapshot(Held(Web, "/web")), isInTouch: true);
        var file = Path.Combine(_folder.File("cache"), "svids.sealed");
        var bytes = File.ReadAllBytes(file);
        bytes[^1] ^= 1;
        File.WriteAllBytes(file, bytes);
        var after = Memory().Restore();
        Assert.Single(after.View.Entries);
        Assert.Empty(after.Held);
        Assert.Contains("changed after it had been sealed", Assert.Single(_log.WithId(3511)), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_message_inside_a_good_seal_is_passed_over()
    {
        Memory().Keep(Snapshot(Held(Web, "/web")), isInTouch: true);
        SealedFolder.Open(_folder.File("cache")).Save("entries", "\xff\xff\xff"u8.ToArray());
        Assert.Same(IdentitySnapshot.Empty, Memory().Restore());
        Assert.Single(_log.WithId(3511));
    }

    [Fact]
    public void An_SVID_of_an_entry_that_says_something_else_by_now_is_not_served()
    {
        Memory().Keep(Snapshot(Held(Web, "/web")) with { View = View(Web with { DnsNames = [] }) }, isInTouch: true);
        var after = Memory().Restore();
        var plan = SvidPlan.Of(after.View, after.View.Entries, after.Held, Start);
        Assert.Empty(plan.Keep);
        Assert.Equal(["web"], plan.Due.Select(entry => entry.Id));
    }

    [Fact]
    public void A_disk_that_takes_nothing_ends_nothing_and_is_told_once()
    {
        var memory = Memory();
        Directory.Delete(_folder.File("cache"), recursive: true);
        memory.Keep(Snapshot(), isInTouch: true);
        memory.Keep(Snapshot(), isInTouch: true);
        Assert.Single(_log.WithId(3512));
    }

    public void Dispose() => _folder.Dispose();

    private NodeMemory Memory()
    {
        Directory.CreateDirectory(_folder.File("agent"));
        var own = _folder.File("agent/identity.pem");
        File.Delete(own);
        if (_agent.Length > 0)
        {
            var svid = Authority.Svid(_agent);
            File.WriteAllText(own, Pem.EncodePrivateKey(svid.Key) + Pem.Encode(svid.Chain));
        }

        var identity = AgentIdentity.TryLoad(Authority.TrustDomain, _folder.File("agent"), Authority.Bundle.Authorities, new RenewalRule(), () => 0.5, out var problem);
        Assert.True(identity is not null, problem);
        var log = LoggerFactory.Create(builder => builder.AddProvider(new RememberedLog.Provider(_log))).CreateLogger<NodeMemory>();
        return new NodeMemory(SealedFolder.Open(_folder.File("cache")), identity, new RenewalRule(), TimeSpan.FromHours(24), _time, () => 0.5, log);
    }

    private static IdentitySnapshot Snapshot(params HeldSvid[] held) =>
        new(View([.. held.Length > 0 ? held.Select(one => one.Entry) : [Web]]), held.ToImmutableDictionary(one => one.Entry.Id));

    private static NodeView View(params ImmutableArray<RegistrationEntry> entries)
    {
        var own = X509Bundle.Create(Authority.TrustDomain, [Authority.Anchor], sequence: 7, refreshHint: TimeSpan.FromMinutes(5));
        using var key = KeyPair.Generate(KeyType.EcP256);
        Assert.True(JwtAuthority.TryCreate("k1", KeyPair.ExportPublicKey(key), Start.AddDays(1), out var authority, out var problem), problem);
        Assert.True(JwtBundle.TryCreate(Authority.TrustDomain, [authority], out var tokens, out problem), problem);
        return new NodeView(12, entries, TrustBundles.Of(own, Other.Bundle), ImmutableDictionary<TrustDomain, JwtBundle>.Empty.Add(Authority.TrustDomain, tokens).Add(Other.TrustDomain, JwtBundle.Empty(Other.TrustDomain)))
        {
            Own = own,
            Superseded = ["aa", "bb"],
        };
    }

    private static HeldSvid Held(RegistrationEntry entry, string path)
    {
        var svid = Authority.Svid(path);
        Assert.True(X509Svid.TryCreate(svid.Chain, svid.Key, entry.Hint.Length > 0 ? entry.Hint : null, out var hinted, out var problem), problem);
        return new HeldSvid(entry, hinted, Start.AddMinutes(30));
    }

    private static RegistrationEntry Entry(string name) => new()
    {
        Id = name,
        SpiffeId = SpiffeId.Parse($"spiffe://example.org/{name}"),
        ParentId = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/a"),
        Selectors = [new Selector("unix", "uid:1")],
        CreatedAt = Start,
    };
}
