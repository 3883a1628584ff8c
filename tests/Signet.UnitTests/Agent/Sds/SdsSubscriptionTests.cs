using Signet.Agent.Sds;
using Signet.Rpc.Wire.Envoy.Discovery;

namespace Signet.UnitTests.Agent.Sds;

public sealed class SdsSubscriptionTests
{
    private readonly SdsSubscription _subscription = new();

    [Fact]
    public void The_first_request_subscribes()
    {
        Assert.False(_subscription.IsOpen);
        Assert.Equal(SdsEvent.Subscribed, _subscription.Take(Request(["default"])));
        Assert.True(_subscription.IsOpen);
        Assert.Equal(["default"], _subscription.Names);
    }

    [Fact]
    public void An_echoed_nonce_with_the_same_names_is_an_acknowledgement() =>
        Assert.Equal(SdsEvent.Accepted, AfterResponse(nonce => Request(["default"], nonce)));

    [Fact]
    public void An_error_is_a_rejection_whatever_version_it_names() =>
        Assert.Equal(SdsEvent.Rejected, AfterResponse(nonce =>
        {
            var request = Request(["default"], nonce);
            request.ErrorDetail = new Signet.Rpc.Wire.GoogleRpc.Status { Message = "no" };
            return request;
        }));

    [Fact]
    public void Another_nonce_than_the_newest_is_stale() => Assert.Equal(SdsEvent.Stale, AfterResponse(_ => Request(["default"], "older")));

    [Fact]
    public void Other_names_subscribe_anew_with_or_without_a_nonce()
    {
        Assert.Equal(SdsEvent.Subscribed, AfterResponse(nonce => Request(["default", "ROOTCA"], nonce)));
        Assert.Equal(SdsEvent.Subscribed, _subscription.Take(Request(["ROOTCA"])));
        Assert.Equal(["ROOTCA"], _subscription.Names);
    }

    [Fact]
    public void The_order_of_names_and_names_said_twice_mean_nothing()
    {
        _subscription.Take(Request(["a", "b"]));
        var response = _subscription.Stamp(new DiscoveryResponse());
        Assert.Equal(SdsEvent.Accepted, _subscription.Take(Request(["b", "a", "b"], response.Nonce)));
    }

    [Fact]
    public void Each_response_has_a_new_version_and_a_new_nonce()
    {
        var first = _subscription.Stamp(new DiscoveryResponse());
        var second = _subscription.Stamp(new DiscoveryResponse());
        Assert.Equal(("1", "2"), (first.VersionInfo, second.VersionInfo));
        Assert.NotEqual(first.Nonce, second.Nonce);
        Assert.Equal(SdsSubscription.TypeUrl, first.TypeUrl);
    }

    private SdsEvent AfterResponse(Func<string, DiscoveryRequest> next)
    {
        _subscription.Take(Request(["default"]));
        return _subscription.Take(next(_subscription.Stamp(new DiscoveryResponse()).Nonce));
    }

    private static DiscoveryRequest Request(string[] names, string nonce = "")
    {
        var request = new DiscoveryRequest { ResponseNonce = nonce };
        request.ResourceNames.AddRange(names);
        return request;
    }
}
