using Signet.Client;

namespace Signet.UnitTests.Client;

public sealed class WorkloadApiAddressTests
{
    [Theory]
    [InlineData("unix:/run/signet/agent.sock")]
    [InlineData("unix:///run/signet/agent.sock")]
    [InlineData("/run/signet/agent.sock")]
    public void E06_A_Unix_socket_is_an_absolute_path_without_an_authority(string text)
    {
        Assert.True(WorkloadApiAddress.TryParse(text, out var address, out var problem), problem);
        Assert.Equal("/run/signet/agent.sock", address.Path);
    }

    [Theory]
    [InlineData(null, "SPIFFE_ENDPOINT_SOCKET")]
    [InlineData("", "SPIFFE_ENDPOINT_SOCKET")]
    [InlineData("unix:relative", "absolute path")]
    [InlineData("unix://host/path", "absolute path")]
    [InlineData("unix:/a?b", "absolute path")]
    [InlineData("unix:/a#b", "absolute path")]
    [InlineData("tcp://127.0.0.1:1", "use a Unix socket")]
    [InlineData("http://x", "absolute path")]
    public void E05_E06_What_is_not_one_is_refused_with_the_next_step(string? text, string expected)
    {
        Assert.False(WorkloadApiAddress.TryParse(text, out _, out var problem));
        Assert.Contains(expected, problem);
    }

    [Fact]
    public void A_path_longer_than_the_kernel_takes_is_refused() =>
        Assert.False(WorkloadApiAddress.TryParse("unix:/" + new string('a', 107), out _, out _));
}
