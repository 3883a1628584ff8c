using Signet.Proxy.Config;

namespace Signet.UnitTests.Proxy.Config;

public sealed class NetworkTextTests
{
    [Theory]
    [InlineData("10.0.0.0/8", "10.0.0.0/8")]
    [InlineData("10.1.2.3", "10.1.2.3/32")]
    [InlineData("0.0.0.0/0", "0.0.0.0/0")]
    [InlineData("2001:db8::/32", "2001:db8::/32")]
    [InlineData("::1", "::1/128")]
    [InlineData("::/0", "::/0")]
    public void Reads_addresses_and_ranges(string text, string expected)
    {
        Assert.True(NetworkText.TryParse(text, out var network, out var problem), problem);
        Assert.Equal(expected, network.ToString());
    }

    [Theory]
    [InlineData("10.1", "neither an address nor a range")]
    [InlineData("0x0a000001", "neither an address nor a range")]
    [InlineData("", "neither an address nor a range")]
    [InlineData("fe80::1%eth0", "neither an address nor a range")]
    [InlineData("[::1]", "neither an address nor a range")]
    [InlineData("::ffff:10.0.0.1", "neither an address nor a range")]
    [InlineData("10.0.0.0/", "prefix length from 0 to 32")]
    [InlineData("10.0.0.0/33", "prefix length from 0 to 32")]
    [InlineData("10.0.0.0/+8", "prefix length from 0 to 32")]
    [InlineData("::/129", "prefix length from 0 to 128")]
    [InlineData("10.0.0.1/8", "write 10.0.0.0/8")]
    [InlineData("2001:db8::1/32", "write 2001:db8::/32")]
    public void Says_what_is_wrong(string text, string expected)
    {
        Assert.False(NetworkText.TryParse(text, out _, out var problem));
        Assert.Contains(expected, problem, StringComparison.Ordinal);
    }
}
