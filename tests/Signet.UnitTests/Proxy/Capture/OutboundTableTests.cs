using System.Net;
using Signet.Proxy.Capture;
using Signet.Proxy.Config;

namespace Signet.UnitTests.Proxy.Capture;

public sealed class OutboundTableTests
{
    private static readonly OutboundConfig Payments = new("outbound-payments:8080", null, "payments", 8080, AppProtocol.Http, [IPEndPoint.Parse("10.0.0.9:8080"), IPEndPoint.Parse("10.0.0.10:8080")], new HashSet<Signet.Identity.Spiffe.SpiffeId>())
    {
        Addresses = [IPEndPoint.Parse("10.96.0.10:8080"), IPEndPoint.Parse("[fd00::10]:8080")],
    };

    private static readonly OutboundConfig Ledger = Payments with { Name = "outbound-ledger:5432", Host = "ledger", Endpoints = [new DnsEndPoint("ledger", 5432)], Addresses = [] };

    [Theory]
    [InlineData("10.96.0.10:8080")]
    [InlineData("[fd00::10]:8080")]
    public void An_address_of_a_service_is_the_service_with_all_its_endpoints(string destination) =>
        Assert.Equal(new OutboundMatch.Service(Payments), new OutboundTable([Payments, Ledger], passThrough: false).Find(IPEndPoint.Parse(destination)));

    [Fact]
    public void An_endpoint_that_the_application_chose_is_the_only_one_tried()
    {
        var service = Assert.IsType<OutboundMatch.Service>(new OutboundTable([Payments], passThrough: true).Find(IPEndPoint.Parse("10.0.0.10:8080"))).Config;

        Assert.Equal("payments", service.Host);
        Assert.Equal([IPEndPoint.Parse("10.0.0.10:8080")], service.Endpoints);
    }

    [Theory]
    [InlineData("10.96.0.10:8081")]
    [InlineData("10.96.0.11:8080")]
    [InlineData("[fd00::9]:8080")]
    public void Another_place_is_refused_unless_passing_through_was_asked_for(string destination)
    {
        var place = IPEndPoint.Parse(destination);

        Assert.Contains("capture.unmatched: passthrough", Assert.IsType<OutboundMatch.Unknown>(new OutboundTable([Payments, Ledger], passThrough: false).Find(place)).Reason, StringComparison.Ordinal);
        Assert.Equal(new OutboundMatch.PassThrough(place), new OutboundTable([Payments, Ledger], passThrough: true).Find(place));
    }
}
