using System.Net;
using Signet.Hosting.Configuration;
using Signet.Server.Upstream;

namespace Signet.UnitTests.Server.Upstream;

public sealed class UpstreamConfigTests
{
    [Fact]
    public void Without_a_section_the_server_makes_its_own_authorities() => Assert.Null(Read("type: none"));

    [Fact]
    public void Files_are_an_issuing_authority_or_one_that_signs_the_servers()
    {
        Assert.Equal(new UpstreamConfig.Folder("/i", UpstreamLayout.Istio) { RevocationList = "/i/anchor.crl" }, Read("{type: disk, folder: /i, layout: istio}"));
        Assert.Equal(new UpstreamConfig.Signer("/c", "/k", "/b") { RevocationList = "/r" }, Read("{type: disk, certificate: /c, key: /k, bundle: /b, revocationList: /r}"));
        Assert.Null(Read("{type: disk, certificate: /c, key: /k}")!.RevocationList);
    }

    [Fact]
    public void Another_server_is_named_by_address_and_socket()
    {
        var server = Assert.IsType<UpstreamConfig.Server>(Read("{type: signet, address: \"above.example:8081\", socket: /run/agent.sock}"));
        Assert.Equal((new DnsEndPoint("above.example", 8081), "/run/agent.sock"), (server.Address, server.Socket.Path));
        Assert.Contains("above.example:8081", server.Advice, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{type: disk}", "folder: is missing")]
    [InlineData("{type: disk, certificate: /c}", "key: is missing")]
    [InlineData("{type: disk, key: /k}", "certificate: is missing")]
    [InlineData("{type: disk, folder: /i, certificate: /c, key: /k}", "exclude each other")]
    [InlineData("{type: none, folder: /i}", "means nothing without type: disk")]
    [InlineData("{type: signet, address: \"a:1\", socket: /s, bundle: /b}", "means nothing without type: disk")]
    [InlineData("{type: disk, folder: /i, socket: /s}", "means nothing without type: signet")]
    [InlineData("{type: signet, socket: /s}", "address")]
    [InlineData("{type: signet, address: \"a:1\"}", "socket: is missing")]
    [InlineData("{type: signet, address: \"a:1\", socket: \"tcp:1.2.3.4:5\"}", "TCP")]
    [InlineData("{type: vault}", "vault")]
    public void What_is_contradictory_or_missing_is_refused(string text, string expected) => Assert.Contains(expected, Assert.Throws<ConfigException>(() => Read(text)).Message, StringComparison.Ordinal);

    private static UpstreamConfig? Read(string text) => ConfigDocument.Read("server.yaml", text, new Dictionary<string, string>(), UpstreamConfig.Read);
}
