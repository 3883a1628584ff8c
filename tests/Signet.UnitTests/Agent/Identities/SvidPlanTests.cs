using System.Collections.Immutable;
using Signet.Agent.Identities;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Identities;

public sealed class SvidPlanTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly RegistrationEntry Web = Entry("web");
    private static readonly RegistrationEntry Api = Entry("api");

    [Fact]
    public void An_entry_without_an_SVID_is_due_at_once()
    {
        var plan = Plan([Web], []);
        Assert.Equal([Web], plan.Due);
        Assert.Empty(plan.Keep);
    }

    [Fact]
    public void An_SVID_that_is_due_is_asked_for_and_still_served()
    {
        var plan = Plan([Web], [Held(Web, renewIn: TimeSpan.FromSeconds(-1))]);
        Assert.Equal([Web], plan.Due);
        Assert.Single(plan.Keep);
        Assert.Equal(Now.AddHours(1), plan.NextAt);
    }

    [Fact]
    public void A_fresh_SVID_is_left_alone_until_its_renewal()
    {
        var plan = Plan([Web], [Held(Web)]);
        Assert.Empty(plan.Due);
        Assert.Equal(Now.AddMinutes(30), plan.NextAt);
    }

    [Fact]
    public void Entries_without_any_SVID_come_before_those_that_age()
    {
        var plan = Plan([Web, Api], [Held(Web, renewIn: TimeSpan.Zero)]);
        Assert.Equal([Api, Web], plan.Due);
        Assert.Equal(1, plan.Missing);
    }

    [Fact]
    public void An_expired_SVID_is_not_served()
    {
        var plan = Plan([Web], [Held(Web, validFor: TimeSpan.FromSeconds(-1))]);
        Assert.Empty(plan.Keep);
        Assert.Equal([Web], plan.Due);
    }

    [Fact]
    public void An_SVID_from_the_future_is_not_served_either()
    {
        var plan = Plan([Web], [Held(Web, from: TimeSpan.FromHours(1), validFor: TimeSpan.FromHours(2))]);
        Assert.Empty(plan.Keep);
        Assert.Equal([Web], plan.Due);
    }

    [Fact]
    public void The_SVID_of_an_entry_that_is_gone_or_has_expired_is_dropped()
    {
        Assert.Empty(Plan([], [Held(Web)]).Keep);
        Assert.Empty(Plan([Web with { ExpiresAt = Now }], [Held(Web)]).Keep);
    }

    [Fact]
    public void An_entry_that_was_not_chosen_is_neither_asked_for_nor_kept()
    {
        var plan = SvidPlan.Of(View([Web, Api]), [Api], ImmutableDictionary<string, HeldSvid>.Empty.Add("web", Held(Web)), Now);
        Assert.Equal([Api], plan.Due);
        Assert.Empty(plan.Keep);
    }

    [Fact]
    public void An_entry_that_now_says_something_else_gets_a_new_SVID()
    {
        Assert.Equal(["web"], Plan([Web with { DnsNames = ["web.example.org"] }], [Held(Web)]).Due.Select(entry => entry.Id));
        Assert.Equal(["web"], Plan([Web with { Template = new SvidTemplate { KeyType = KeyType.Rsa2048 } }], [Held(Web)]).Due.Select(entry => entry.Id));
        Assert.Equal(["web"], Plan([Web with { Template = new SvidTemplate { Subject = "CN=web" } }], [Held(Web)]).Due.Select(entry => entry.Id));
        Assert.Empty(Plan([Web with { Template = new SvidTemplate() }], [Held(Web)]).Due);
        Assert.Empty(Plan([Web with { Selectors = [new Selector("unix", "uid:2")] }], [Held(Web)]).Due);
    }

    [Fact]
    public void The_end_of_an_entry_wakes_the_agent_when_it_comes_first() =>
        Assert.Equal(Now.AddMinutes(5), Plan([Web with { ExpiresAt = Now.AddMinutes(5) }], [Held(Web)]).NextAt);

    [Fact]
    public void What_a_superseded_authority_signed_is_renewed_soon_and_goes_on_being_served()
    {
        var (authority, other) = (new TestAuthority(Now), new TestAuthority(Now));
        var (web, api) = (new HeldSvid(Web, authority.Svid("/web"), Now.AddMinutes(30)), new HeldSvid(Api, other.Svid("/api"), Now.AddMinutes(30)));
        var plan = Plan([Web, Api], [web, api], superseded: authority.Issuing.SerialHex);
        Assert.Equal(2, plan.Keep.Count);
        Assert.InRange(plan.Keep["web"].RenewAt, Now, Now + SvidPlan.ReplaceWithin);
        Assert.Equal(api.RenewAt, plan.Keep["api"].RenewAt);

        // The moment is chosen once: to be asked again must not put it off.
        var again = SvidPlan.Of(View([Web, Api], authority.Issuing.SerialHex), [Web, Api], plan.Keep, plan.Keep["web"].RenewAt);
        Assert.Equal(["web"], again.Due.Select(entry => entry.Id));
    }

    [Fact]
    public void A_renewal_that_is_due_sooner_anyhow_stays_where_it_is()
    {
        var authority = new TestAuthority(Now);
        var plan = Plan([Web], [new HeldSvid(Web, authority.Svid("/web"), Now.AddSeconds(1))], superseded: authority.Issuing.SerialHex);
        Assert.Equal(Now.AddSeconds(1), plan.Keep["web"].RenewAt);
    }

    [Fact]
    public void An_SVID_that_its_issuer_revoked_is_replaced_at_once_and_served_no_more()
    {
        var authority = new TestAuthority(Now);
        HeldSvid[] held = [new HeldSvid(Web, authority.Svid("/web"), Now.AddMinutes(30)), new HeldSvid(Api, authority.Svid("/api"), Now.AddMinutes(30))];
        var view = View([Web, Api]) with { Bundles = TrustBundles.Of(authority.Bundle).WithCrls([authority.Revoke(held[0].Svid.Leaf)]) };
        var plan = SvidPlan.Of(view, [Web, Api], held.ToImmutableDictionary(one => one.Entry.Id), Now);
        Assert.Equal([Web], plan.Due);
        Assert.Equal(1, plan.Missing);
        Assert.Equal(["api"], plan.Keep.Keys);
    }

    [Fact]
    public void After_an_outage_what_can_wait_is_left_for_a_part_of_the_time_that_the_server_names_and_what_cannot_is_not()
    {
        var (due, spread) = (Plan([Web], [Held(Web, renewIn: TimeSpan.Zero)]), TimeSpan.FromSeconds(40));
        Assert.Equal(TimeSpan.FromSeconds(10), due.EaseAfterOutage(spread, 0.25, Now));
        Assert.Equal(TimeSpan.Zero, due.EaseAfterOutage(TimeSpan.Zero, 0.25, Now));
        Assert.Equal(TimeSpan.FromSeconds(5), Plan([Web], [Held(Web, validFor: TimeSpan.FromSeconds(40))]).EaseAfterOutage(spread, 0.5, Now));
        Assert.Equal(TimeSpan.Zero, Plan([Web, Api], [Held(Web)]).EaseAfterOutage(spread, 0.25, Now));
    }

    private static NodeView View(ImmutableArray<RegistrationEntry> entries, params string[] superseded) =>
        NodeView.Nothing with { Revision = 1, Entries = entries, Superseded = [.. superseded] };

    private static SvidPlan Plan(ImmutableArray<RegistrationEntry> entries, IEnumerable<HeldSvid> held, params string[] superseded) =>
        SvidPlan.Of(View(entries, superseded), entries, held.ToImmutableDictionary(one => one.Entry.Id), Now);

    private static HeldSvid Held(RegistrationEntry entry, TimeSpan? renewIn = null, TimeSpan? from = null, TimeSpan? validFor = null)
    {
        var key = KeyPair.Generate(KeyType.EcP256);
        var end = Now + (validFor ?? TimeSpan.FromHours(1));
        var begin = from is { } later ? Now + later : Now.AddHours(-2);
        var leaf = CertificateTemplate.Leaf(entry.SpiffeId, KeyPair.ExportPublicKey(key), begin, end).SignSelf(key);
        Assert.True(X509Svid.TryCreate([leaf], key, hint: null, out var svid, out var problem), problem);
        return new HeldSvid(entry, svid, Now + (renewIn ?? TimeSpan.FromMinutes(30)));
    }

    private static RegistrationEntry Entry(string name) => new()
    {
        Id = name,
        SpiffeId = SpiffeId.Parse($"spiffe://example.org/{name}"),
        ParentId = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/a"),
        Selectors = [new Selector("unix", "uid:1")],
    };
}
