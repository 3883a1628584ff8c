using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Server;

namespace Signet.UnitTests.Server.Http;

public sealed class OcspConfigTests
{
    private static readonly Places Places = Places.TryChoose("/tmp/signet", true, null, out var places, out var problem) ? places : throw new InvalidOperationException(problem);

    [Theory]
    [InlineData("trustDomain: example.org", null)]
    [InlineData("trustDomain: example.org\nocsp: {}", "127.0.0.1:8082")]
    [InlineData("trustDomain: example.org\nocsp: {listen: \"10.0.0.1:80\"}", "10.0.0.1:80")]
    public void Nobody_is_answered_unless_it_is_written_and_then_on_loopback_unless_said_otherwise(string text, string? expected) =>
        Assert.Equal(expected, Read(text).Ocsp?.Listen.ToString());

    [Theory]
    [InlineData("ocsp: {listen: nowhere}", "listen")]
    [InlineData("ocsp: {listn: \"127.0.0.1:1\"}", "did you mean \"listen\"?")]
    public void What_does_not_hold_is_a_problem(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<ConfigException>(() => Read($"trustDomain: example.org\n{text}")).Message, StringComparison.Ordinal);

    private static ServerConfig Read(string text) => ConfigDocument.Read("server.yaml", text, new Dictionary<string, string>(), root =>
    {
        ServerConfig.ReadLog(root);
        return ServerConfig.Read(root, Places);
    });
}
