using System.Collections.Immutable;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Agent.WorkloadApi;

public sealed class ClientLedgerTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly X509Bundle First = new TestAuthority(Start).Bundle;
    private static readonly X509Bundle Second = new TestAuthority(Start).Bundle;

    private readonly ClientLedger _ledger = new();

    [Fact]
    public void A_node_without_clients_stands_where_its_agent_does() =>
        Assert.Equal(new NodeStanding(7, [], []), _ledger.Standing(Serving(First, 7), own: null));

    [Fact]
    public void An_agent_that_has_heard_nothing_has_nothing() => Assert.Equal(0UL, _ledger.Standing(IdentitySnapshot.Empty, own: null).Sequence);

    [Fact]
    public void A_client_that_was_told_an_older_bundle_holds_the_node_back_until_it_is_told_the_new_one_or_leaves()
    {
        var seat = _ledger.Open(1, "pid 1", reports: false);
        Tell(seat, First, 7);
        var standing = _ledger.Standing(Serving(Second, 8), own: null);
        Assert.Equal(7UL, standing.Sequence);
        Assert.Equal(["pid 1"], standing.Lagging);

        Tell(seat, Second, 8);
        Assert.Equal(new NodeStanding(8, [], []), _ledger.Standing(Serving(Second, 8), own: null));

        var other = _ledger.Open(2, "pid 2", reports: false);
        Tell(other, First, 7);
        other.Dispose();
        Assert.Equal(8UL, _ledger.Standing(Serving(Second, 8), own: null).Sequence);
    }

    [Fact]
    public void A_client_that_has_been_told_nothing_yet_uses_nothing()
    {
        _ledger.Open(1, "pid 1", reports: false);
        _ledger.Open(2, "pid 2", reports: true);
        Assert.Equal(8UL, _ledger.Standing(Serving(Second, 8), own: null).Sequence);
    }

    [Fact]
    public void What_a_client_says_counts_more_than_what_its_process_was_told()
    {
        Tell(_ledger.Open(1, "told", reports: false), Second, 8);
        var says = _ledger.Open(1, "says", reports: true);
        says.Says(First.Digest, ["aa"]);
        var standing = _ledger.Standing(Serving(Second, 8), own: null);
        Assert.Equal(0UL, standing.Sequence);
        Assert.Equal(["says"], standing.Lagging);
        Assert.Equal(["aa"], standing.Issuers);

        says.Says(Second.Digest, ["bb"]);
        Assert.Equal(new NodeStanding(8, [], ["bb"]), _ledger.Standing(Serving(Second, 8), own: null));
    }

    [Fact]
    public void A_bundle_that_only_got_a_new_number_needs_no_new_word_from_a_client()
    {
        _ledger.Open(1, "says", reports: true).Says(First.Digest, []);
        Assert.Equal(9UL, _ledger.Standing(Serving(First, 9), own: null).Sequence);
    }

    [Fact]
    public void Every_change_and_nothing_else_is_announced()
    {
        var version = _ledger.Changes.Version;
        var seat = _ledger.Open(1, "says", reports: true);
        Assert.Equal(version, _ledger.Changes.Version);
        seat.Says(First.Digest, ["aa"]);
        Assert.Equal(version + 1, _ledger.Changes.Version);
        seat.Says(First.Digest, ["aa"]);
        Assert.Equal(version + 1, _ledger.Changes.Version);
        seat.Dispose();
        Assert.Equal(version + 2, _ledger.Changes.Version);
    }

    private static void Tell(ClientSeat seat, X509Bundle bundle, ulong sequence) => seat.Told(new Entitlement([], [], Serving(bundle, sequence)));

    private static IdentitySnapshot Serving(X509Bundle bundle, ulong sequence) => IdentitySnapshot.Empty with
    {
        View = NodeView.Nothing with { Revision = 1, Own = X509Bundle.Create(bundle.TrustDomain, bundle.Authorities, sequence) },
        Held = ImmutableDictionary<string, HeldSvid>.Empty,
    };
}
