using Signet.Agent;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.X509;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Agent;

public sealed class AgentSvidConfigTests
{
    [Theory]
    [InlineData("", KeyType.EcP256)]
    [InlineData("svid: {keyType: ec-p384}", KeyType.EcP384)]
    [InlineData("svid: {keyType: rsa-2048}", KeyType.Rsa2048)]
    [InlineData("svid: {keyType: rsa-4096}", KeyType.Rsa4096)]
    [InlineData("svid: {keyType: ed25519}", KeyType.Ed25519)]
    public void Workloads_get_the_kind_of_key_that_the_configuration_says(string text, KeyType keyType) => Assert.Equal(keyType, Read(text).SvidKeyType);

    [Theory]
    [InlineData("svid: {keyType: rsa-1024}", "key type \"rsa-1024\" is unknown; write one of ec-p256, ec-p384, rsa-2048, rsa-4096, ed25519")]
    [InlineData("svid: {keyType: ec-p521}", "key type \"ec-p521\" is unknown")]
    [InlineData("svid: {keytype: ec-p256}", "did you mean \"keyType\"")]
    public void A_kind_that_is_unknown_is_refused(string text, string problem) =>
        Assert.Contains(Assert.Throws<ConfigException>(() => Read(text)).Problems, found => found.ToString().Contains(problem, StringComparison.Ordinal));

    [Fact]
    public void WIT_SVIDs_have_to_be_asked_for()
    {
        Assert.False(Read("").ServesWit);
        Assert.True(Read("features: [wit]").ServesWit);
        Assert.Throws<ConfigException>(() => Read("features: [jwt]"));
    }

    [Fact]
    public void The_admin_socket_lies_beside_the_other_and_is_its_owners_alone()
    {
        var config = Read("");
        Assert.Equal("/home/somebody/.signet/run/agent-admin.sock", config.AdminSocket);
        Assert.False(config.AdminSocketForGroup);
        Assert.Equal("/run/a/node-admin.sock", Read("socket: /run/a/node.sock").AdminSocket);
        Assert.Equal("/run/b/x.sock", Read("socket: /run/a/node.sock\nadminSocket: /run/b/x.sock\nadminSocketForGroup: true").AdminSocket);
    }

    [Fact]
    public void Nobody_is_a_delegate_unless_it_is_named()
    {
        Assert.Empty(Read("").AuthorizedDelegates);
        Assert.Equal([SpiffeId.Parse("spiffe://example.org/cilium")], Read("authorizedDelegates: [spiffe://example.org/cilium]").AuthorizedDelegates);
    }

    [Fact]
    public void A_delegate_that_is_no_SPIFFE_ID_is_an_error() =>
        Assert.Contains(Assert.Throws<ConfigException>(() => Read("authorizedDelegates: [cilium]")).Problems, found => found.ToString().Contains("authorizedDelegates", StringComparison.Ordinal));

    [Fact]
    public void Brokers_have_no_socket_unless_it_is_named()
    {
        Assert.Null(Read("").Broker.Socket);
        var broker = Read("broker: {socket: /run/signet/broker.sock, authorizedBrokers: [spiffe://example.org/mesh]}").Broker;
        Assert.Equal("/run/signet/broker.sock", broker.Socket);
        Assert.Equal([SpiffeId.Parse("spiffe://example.org/mesh")], broker.Authorized);
        Assert.Contains(Assert.Throws<ConfigException>(() => Read("broker: {authorizedBrokers: []}")).Problems, found => found.ToString().Contains("socket", StringComparison.Ordinal));
    }

    private static AgentConfig Read(string text) => ConfigDocument.Read(
        "/etc/signet/agent.yaml",
        "trustDomain: example.org\nserver: 127.0.0.1:8081\njoinToken: abc\n" + text,
        new Dictionary<string, string>(),
        root => AgentConfig.Read(root, Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var wrong) ? places : throw new InvalidOperationException(wrong)));
}
