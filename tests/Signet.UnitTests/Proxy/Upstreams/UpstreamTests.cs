using System.Net;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Policy.Objects;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Proxy.Upstreams;
using Signet.Proxy.Upstreams.Health;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Upstreams;

/// <summary>A service's memory on virtual time: who is chosen, who is left out, and what is one too many.</summary>
public sealed class UpstreamTests
{
    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void Who_is_slow_gets_less()
    {
        var upstream = New(3);
        var counts = new Dictionary<UpstreamEndpoint, int>();
        var slow = upstream.Endpoints[1];
        List<EndpointUse> held = [];
        for (var i = 0; i < 300; i++)
        {
            var use = Choose(upstream)!;
            counts[use.Endpoint] = counts.GetValueOrDefault(use.Endpoint) + 1;
            if (use.Endpoint == slow)
            {
                held.Add(use);
            }
            else
            {
                use.Dispose();
            }
        }

        Assert.InRange(counts[slow], 1, 10);
        held.ForEach(use => use.Dispose());
        Assert.All(upstream.Endpoints, endpoint => Assert.Equal(0, endpoint.Active));
        Assert.Equal(0, upstream.State().Active);
    }

    [Fact]
    public void Who_was_tried_is_not_chosen_again()
    {
        var upstream = New(2);
        var first = Choose(upstream)!.Endpoint;
        Assert.True(upstream.TryChoose(isRequest: true, [first], out var use, out _));
        Assert.NotEqual(first, use.Endpoint);
        Assert.False(upstream.TryChoose(isRequest: true, [.. upstream.Endpoints], out _, out var failure));
        Assert.Null(failure);
    }

    [Fact]
    public void Who_fails_five_times_is_left_out_and_comes_back()
    {
        var upstream = New(2, Outliers(new OutlierDetection()));
        Fail(upstream, upstream.Endpoints[0]);
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Equal(upstream.Endpoints[1], Choose(upstream)!.Endpoint));
        var state = upstream.State().Endpoints[0];
        Assert.Equal((false, "Consecutive5xx", _time.GetUtcNow().AddSeconds(30), 1L), (state.IsWell, state.EjectedFor, state.EjectedUntil, state.Ejected));

        _time.Advance(TimeSpan.FromSeconds(31));
        upstream.Sweep();
        Assert.Contains(Enumerable.Range(0, 50).Select(_ => Choose(upstream)!.Endpoint), endpoint => endpoint == upstream.Endpoints[0]);
    }

    [Fact]
    public void Without_outlier_detection_nobody_is_left_out()
    {
        var upstream = New(2);
        Fail(upstream, upstream.Endpoints[0]);
        Assert.True(upstream.State().Endpoints[0].IsWell);
    }

    [Fact]
    public void Who_was_left_out_is_used_again_when_the_rule_is_gone()
    {
        var upstream = New(2, Outliers(new OutlierDetection()));
        Fail(upstream, upstream.Endpoints[0]);
        upstream.Traffic = ClientTraffic.Default;
        Assert.True(upstream.State().Endpoints[0].IsWell);
        upstream.Sweep();
        upstream.Traffic = Outliers(new OutlierDetection());
        Assert.True(upstream.State().Endpoints[0].IsWell);
    }

    [Fact]
    public void Not_more_are_left_out_than_the_share_allows()
    {
        var upstream = New(4, Outliers(new OutlierDetection { MaxEjectionPercent = 50 }));
        foreach (var endpoint in upstream.Endpoints)
        {
            Fail(upstream, endpoint);
        }

        Assert.Equal(2, upstream.State().Endpoints.Count(endpoint => endpoint.EjectedFor is not null));
    }

    [Fact]
    public void When_nobody_is_well_the_request_is_refused_and_says_who_is_not()
    {
        var upstream = New(2, Outliers(new OutlierDetection { MaxEjectionPercent = 100 }));
        Fail(upstream, upstream.Endpoints[0]);
        Fail(upstream, upstream.Endpoints[1]);
        Assert.False(upstream.TryChoose(isRequest: true, null, out _, out var failure));
        Assert.Equal(RefusalReason.UpstreamUnhealthy, failure!.Reason);
        Assert.Contains("10.0.0.1:1 is left out for 30s more (Consecutive5xx)", failure.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void When_fewer_are_well_than_must_be_all_are_used()
    {
        var upstream = New(2, Outliers(new OutlierDetection { MaxEjectionPercent = 100, MinHealthPercent = 60 }));
        Fail(upstream, upstream.Endpoints[0]);
        Assert.True(upstream.State().IsPanicking);
        Assert.Equal(2, Enumerable.Range(0, 50).Select(_ => Choose(upstream)!.Endpoint).Distinct().Count());
    }

    [Fact]
    public void Who_fails_its_checks_is_not_chosen_unless_half_do()
    {
        var upstream = New(3, check: new HealthCheckConfig());
        upstream.ReportCheck(upstream.Endpoints[0], CheckEnd.Refused, "no");
        Assert.DoesNotContain(upstream.Endpoints[0], Enumerable.Range(0, 50).Select(_ => Choose(upstream)!.Endpoint));
        Assert.Equal(("unhealthy", "no"), (upstream.State().Endpoints[0].Health, upstream.State().Endpoints[0].LastFailure));

        upstream.ReportCheck(upstream.Endpoints[1], CheckEnd.Refused, "no");
        Assert.True(upstream.State().IsPanicking);
        Assert.Contains(upstream.Endpoints[0], Enumerable.Range(0, 50).Select(_ => Choose(upstream)!.Endpoint));
    }

    [Fact]
    public void Requests_beyond_the_limit_are_refused_until_one_is_over()
    {
        var upstream = New(2, Pool(new ConnectionPool { MaxRequests = 2 }));
        var (first, _) = (Choose(upstream)!, Choose(upstream)!);
        Assert.False(upstream.TryChoose(isRequest: true, null, out _, out var failure));
        Assert.Equal(RefusalReason.UpstreamOverloaded, failure!.Reason);
        first.Dispose();
        first.Dispose();
        Assert.NotNull(Choose(upstream));
        Assert.False(upstream.TryChoose(isRequest: true, null, out _, out _));
    }

    [Fact]
    public async Task Whoever_waits_longest_for_a_connection_is_woken_first()
    {
        var upstream = New(1, Pool(new ConnectionPool { MaxConnections = 1, MaxPendingRequests = 2 }));
        Assert.True(upstream.TryOpenConnection());
        Assert.False(upstream.TryOpenConnection());
        Assert.Null(upstream.BeginWaiting());
        Assert.Null(upstream.BeginWaiting());
        Assert.Equal(RefusalReason.UpstreamOverloaded, upstream.BeginWaiting()!.Reason);
        var (first, second) = (upstream.WaitForConnectionAsync(CancellationToken.None), upstream.WaitForConnectionAsync(CancellationToken.None));
        upstream.CloseConnection();
        await first;
        Assert.False(second.IsCompleted);
        Assert.True(upstream.TryOpenConnection());
        upstream.CloseConnection();
        await second;
    }

    [Fact]
    public async Task Who_gives_up_waiting_does_not_take_the_others_turn()
    {
        var upstream = New(1, Pool(new ConnectionPool { MaxConnections = 1 }));
        Assert.True(upstream.TryOpenConnection());
        using var gaveUp = new CancellationTokenSource();
        var first = upstream.WaitForConnectionAsync(gaveUp.Token);
        var second = upstream.WaitForConnectionAsync(CancellationToken.None);
        await gaveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        upstream.CloseConnection();
        await second;
    }

    [Fact]
    public void Retries_have_a_budget()
    {
        var upstream = New(1);
        Assert.Equal([true, true, true, false], Enumerable.Range(0, 4).Select(_ => upstream.TryBeginRetry()));
        upstream.EndRetry();
        Assert.True(upstream.TryBeginRetry());
        Assert.Equal((3, 4L), (upstream.State().Retries, upstream.Retried));
    }

    private static ClientTraffic Outliers(OutlierDetection outliers) => ClientTraffic.Default with { Outliers = outliers };

    private static ClientTraffic Pool(ConnectionPool pool) => ClientTraffic.Default with { Pool = pool };

    private static EndpointUse? Choose(Upstream upstream) => upstream.TryChoose(isRequest: true, null, out var use, out _) ? use : null;

    private static void Fail(Upstream upstream, UpstreamEndpoint endpoint)
    {
        for (var i = 0; i < 5; i++)
        {
            upstream.Report(endpoint, 500);
        }
    }

    private Upstream New(int endpoints, ClientTraffic? traffic = null, HealthCheckConfig? check = null)
    {
        var addresses = Enumerable.Range(1, endpoints).Select(i => (EndPoint)new IPEndPoint(IPAddress.Parse($"10.0.0.{i}"), i)).ToList();
        var service = new OutboundConfig("outbound-orders:80", null, "orders.default.svc.cluster.local", 80, AppProtocol.Http, addresses, new HashSet<SpiffeId>()) { HealthCheck = check };
        return new Upstream(service, _time, seed: 7) { Traffic = traffic ?? ClientTraffic.Default };
    }
}
