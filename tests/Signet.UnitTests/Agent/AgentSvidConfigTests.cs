using Signet.Agent;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.X509;

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

    private static AgentConfig Read(string text) => ConfigDocument.Read(
        "/etc/signet/agent.yaml",
        "trustDomain: example.org\nserver: 127.0.0.1:8081\njoinToken: abc\n" + text,
        new Dictionary<string, string>(),
        root => AgentConfig.Read(root, Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var wrong) ? places : throw new InvalidOperationException(wrong)));
}
