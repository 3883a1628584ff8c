using System.Net;
using Signet.Server.Attestation;

namespace Signet.UnitTests.Server.Attestation;

public sealed class PublicAddressTests
{
    [Theory]
    [InlineData("8.8.8.8")]
    [InlineData("172.15.255.255")]
    [InlineData("172.32.0.1")]
    [InlineData("100.63.255.255")]
    [InlineData("223.255.255.255")]
    [InlineData("2600::1")]
    [InlineData("2a00:1450::1")]
    [InlineData("::ffff:8.8.8.8")]
    public void An_address_of_the_Internet_may_be_asked(string address) => Assert.Null(PublicAddress.Objection(IPAddress.Parse(address), []));

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("10.1.2.3")]
    [InlineData("100.64.0.1")]
    [InlineData("127.0.0.1")]
    [InlineData("127.255.255.254")]
    [InlineData("169.254.169.254")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.1.1")]
    [InlineData("192.0.0.8")]
    [InlineData("198.18.0.1")]
    [InlineData("203.0.113.9")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("::127.0.0.1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("64:ff9b::a00:1")]
    [InlineData("fc00::1")]
    [InlineData("fd12:3456::1")]
    [InlineData("fe80::1")]
    [InlineData("ff02::1")]
    [InlineData("2001::1")]
    [InlineData("2001:db8::1")]
    [InlineData("2002:7f00:1::")]
    public void What_stands_for_something_inside_may_not(string address)
    {
        var objection = PublicAddress.Objection(IPAddress.Parse(address), []);
        Assert.Contains("allowedNetworks", objection);
    }

    [Fact]
    public void A_network_that_the_operator_names_may_be_asked_and_no_other()
    {
        IPNetwork[] allowed = [IPNetwork.Parse("10.1.0.0/16"), IPNetwork.Parse("fd00::/8")];
        Assert.Null(PublicAddress.Objection(IPAddress.Parse("10.1.2.3"), allowed));
        Assert.Null(PublicAddress.Objection(IPAddress.Parse("::ffff:10.1.2.3"), allowed));
        Assert.Null(PublicAddress.Objection(IPAddress.Parse("fd00::7"), allowed));
        Assert.NotNull(PublicAddress.Objection(IPAddress.Parse("10.2.2.3"), allowed));
        Assert.NotNull(PublicAddress.Objection(IPAddress.Parse("fc00::7"), allowed));
    }
}
