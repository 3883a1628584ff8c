using Signet.Agent;
using Signet.Agent.Identities;
using Signet.Hosting;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Agent;

public sealed class AgentConfigTests
{
    [Fact]
    public void What_is_held_is_bounded_and_kept_on_the_disk_by_default_and_nobody_asks_for_more_availability()
    {
        var config = Read("");
        Assert.Equal(new CacheConfig { Svids = 10_000, Bytes = 64 * 1024 * 1024, Disk = true, MaxAge = TimeSpan.FromDays(7) }, config.Cache);
        Assert.Null(config.AvailabilityTarget);
    }

    [Fact]
    public void Every_limit_can_be_set()
    {
        var config = Read("availabilityTarget: 8h\ncache: {svids: 5, bytes: 1MiB, disk: false, maxAge: 1h}");
        Assert.Equal(new CacheConfig { Svids = 5, Bytes = 1024 * 1024, Disk = false, MaxAge = TimeSpan.FromHours(1) }, config.Cache);
        Assert.Equal(TimeSpan.FromHours(8), config.AvailabilityTarget);
    }

    [Theory]
    [InlineData("cache: {svids: 0}", "svids")]
    [InlineData("cache: {size: 5}", "unknown key \"size\"")]
    [InlineData("cache: {maxAge: 1s}", "maxAge")]
    [InlineData("availabilityTarget: 10s", "availabilityTarget")]
    public void What_is_wrong_is_said(string text, string problem) =>
        Assert.Contains(Assert.Throws<ConfigException>(() => Read(text)).Problems, found => found.ToString().Contains(problem, StringComparison.Ordinal));

    private static AgentConfig Read(string text) => ConfigDocument.Read(
        "/etc/signet/agent.yaml",
        "trustDomain: example.org\nserver: 127.0.0.1:8081\njoinToken: abc\n" + text,
        new Dictionary<string, string>(),
        root => AgentConfig.Read(root, Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var wrong) ? places : throw new InvalidOperationException(wrong)));
}
