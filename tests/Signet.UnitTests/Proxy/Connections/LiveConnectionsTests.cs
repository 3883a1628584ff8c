using System.Net;
using Signet.Proxy;
using Signet.Proxy.Connections;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Connections;

public sealed class LiveConnectionsTests : IDisposable
{
    private readonly EventLoop _loop = new("test", _ => { });
    private readonly ManualTimeProvider _time = new();
    private readonly LiveConnections _all;

    public LiveConnectionsTests() => _all = new LiveConnections(_time);

    public void Dispose() => _loop.Stop();

    [Fact]
    public void Closes_a_connection_once_its_deadline_has_passed_and_not_before()
    {
        var live = Open();
        live.CloseAfter(TimeSpan.FromSeconds(10), RefusalReason.RequestHeadTimeout);

        Pass(TimeSpan.FromSeconds(10));
        Assert.Null(live.Closed);
        Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(RefusalReason.RequestHeadTimeout, live.Closed?.Reason);
        Assert.True(live.Token.IsCancellationRequested);
    }

    [Fact]
    public void Puts_the_end_off_while_bytes_move()
    {
        var live = Open();
        live.CloseWhenIdleFor(TimeSpan.FromSeconds(10));
        for (var i = 0; i < 5; i++)
        {
            Pass(TimeSpan.FromSeconds(9));
            live.CountReceived(1);
        }

        Assert.Null(live.Closed);
        Pass(TimeSpan.FromSeconds(11));
        Assert.Equal(RefusalReason.IdleTimeout, live.Closed?.Reason);
    }

    [Fact]
    public void Nothing_puts_off_an_end_that_was_set_for_good()
    {
        var live = Open();
        live.EndAfter(TimeSpan.FromSeconds(10), RefusalReason.DeadlineExceeded);
        live.CloseWhenIdleFor(TimeSpan.FromHours(1));
        Pass(TimeSpan.FromSeconds(9));
        live.CountReceived(1);
        Assert.Null(live.Closed);
        Pass(TimeSpan.FromSeconds(2));
        Assert.Equal(RefusalReason.DeadlineExceeded, live.Closed?.Reason);
    }

    [Fact]
    public void An_end_far_beyond_reckoning_is_no_end_at_once()
    {
        var live = Open();
        live.EndAfter(TimeSpan.MaxValue, RefusalReason.DeadlineExceeded);
        Pass(TimeSpan.FromDays(365));
        Assert.Null(live.Closed);
    }

    [Fact]
    public void Stays_open_when_its_deadline_is_taken_back()
    {
        var live = Open();
        live.CloseAfter(TimeSpan.FromSeconds(1), RefusalReason.RequestHeadTimeout);
        live.StayOpen();
        Pass(TimeSpan.FromDays(1));
        Assert.Null(live.Closed);
    }

    [Fact]
    public void Asks_only_when_something_changes_where_nothing_has_changed_since_it_was_decided()
    {
        var (live, asked) = (Open(), 0);
        live.KeepAsking(() => asked++ == 0 ? null : new(RefusalReason.PolicyChanged, "no"), askNow: false);
        Assert.Equal(0, asked);
        _all.RecheckAll();
        Assert.Null(live.Closed);
        _all.RecheckAll();
        Assert.Equal(RefusalReason.PolicyChanged, live.Closed?.Reason);
    }

    [Fact]
    public void Bytes_do_not_put_off_a_deadline_that_is_not_about_idleness()
    {
        var live = Open();
        live.CloseWhenIdleFor(TimeSpan.FromSeconds(1));
        live.CloseAfter(TimeSpan.FromSeconds(10), RefusalReason.RequestHeadTimeout);
        Pass(TimeSpan.FromSeconds(9));
        live.CountReceived(1);
        Pass(TimeSpan.FromSeconds(2));

        Assert.Equal(RefusalReason.RequestHeadTimeout, live.Closed?.Reason);
    }

    [Fact]
    public void Closes_a_connection_with_its_peers_certificate()
    {
        var live = Open();
        var svid = new TestAuthority(_time.GetUtcNow()).Svid("/a");
        live.Peer = new Peer(svid.Id, svid.Chain, svid.NotAfter);

        Pass(svid.NotAfter - _time.GetUtcNow());
        Assert.Null(live.Closed);
        Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(RefusalReason.PeerExpired, live.Closed?.Reason);
    }

    [Fact]
    public void Closes_a_connection_with_the_own_certificate_that_it_began_with()
    {
        var (live, resting, free) = (Open(), Open(), Open());
        var session = Session(peerEnds: TimeSpan.FromHours(1), ownEnds: TimeSpan.FromMinutes(10));
        live.Prove(session);
        resting.RestOn(session);
        free.RestOn(session);
        free.RestOn(null);

        Pass(TimeSpan.FromMinutes(10));
        Assert.Null(live.Closed);
        Pass(TimeSpan.FromSeconds(1));
        Assert.Equal((RefusalReason.OwnSvidExpired, RefusalReason.OwnSvidExpired, null), (live.Closed?.Reason, resting.Closed?.Reason, free.Closed?.Reason));
    }

    [Theory]
    [InlineData(10, 60)]
    [InlineData(60, 10)]
    public void Gives_notice_once_before_a_certificate_of_either_side_ends(int peerEnds, int ownEnds)
    {
        var (live, other) = (Open(), Open());
        var (notices, others, late) = (0, 0, 0);
        live.Prove(Session(TimeSpan.FromMinutes(peerEnds), TimeSpan.FromMinutes(ownEnds)));
        other.Prove(Session(TimeSpan.FromHours(1), TimeSpan.FromHours(1)));
        live.WhenEnding(() => notices++);
        other.WhenEnding(() => others++);

        Pass(TimeSpan.FromMinutes(10) - LiveConnection.Notice);
        Assert.Equal((0, false), (notices, live.IsEnding));
        Pass(TimeSpan.FromSeconds(1));
        Pass(TimeSpan.FromSeconds(1));
        live.WhenEnding(() => late++);

        Assert.Equal((1, true, 1, 0, false), (notices, live.IsEnding, late, others, other.IsEnding));
        Assert.Null(live.Closed);
    }

    [Fact]
    public void Closes_those_whose_question_now_has_another_answer()
    {
        var (stays, goes, neverAsked) = (Open(), Open(), Open());
        var changed = false;
        stays.KeepAsking(() => null);
        goes.KeepAsking(() => changed ? new(RefusalReason.PolicyChanged, "because") : null);
        Assert.Null(goes.Closed);

        changed = true;
        _all.RecheckAll();

        Assert.Equal((null, RefusalReason.PolicyChanged, null), (stays.Closed?.Reason, goes.Closed?.Reason, neverAsked.Closed?.Reason));
    }

    [Fact]
    public void Closes_one_whose_answer_changed_while_it_was_being_made()
    {
        var live = Open();
        live.KeepAsking(() => new(RefusalReason.PolicyChanged, "meanwhile"));
        Assert.Equal("meanwhile", live.Closed?.Detail);
    }

    [Fact]
    public void Keeps_the_first_reason()
    {
        var live = Open();
        live.Close(RefusalReason.Draining, "first");
        live.Close(RefusalReason.PolicyChanged, "second");

        Assert.Equal("first", live.Closed?.Detail);
    }

    [Fact]
    public void Can_be_closed_after_it_was_forgotten()
    {
        var live = Open();
        _all.Forget(live);
        live.Close(RefusalReason.Draining, "late");

        Assert.Equal(0, _all.Count);
    }

    private TlsSession Session(TimeSpan peerEnds, TimeSpan ownEnds)
    {
        var svid = new TestAuthority(_time.GetUtcNow()).Svid("/a");
        return new(Transport: null!, new Peer(svid.Id, svid.Chain, _time.GetUtcNow() + peerEnds), "TLSv1.3", "TLS_AES_128_GCM_SHA256", null, IsResumed: false)
        {
            OwnExpiresAt = _time.GetUtcNow() + ownEnds,
        };
    }

    private LiveConnection Open() => _all.Open(Direction.Inbound, "inbound-1", new IPEndPoint(IPAddress.Loopback, 1), _loop);

    private void Pass(TimeSpan time)
    {
        _time.Advance(time);
        _all.Sweep();
    }
}
