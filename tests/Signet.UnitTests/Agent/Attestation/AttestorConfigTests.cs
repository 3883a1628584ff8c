using Signet.Agent;
using Signet.Agent.Attestation;
using Signet.Hosting;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Agent.Attestation;

public sealed class AttestorConfigTests
{
    [Theory]
    [InlineData("joinToken: abc")]
    [InlineData("attestor: {type: joinToken, token: abc}")]
    [InlineData("attestor: {token: abc}")]
    public void A_join_token_may_stand_at_the_root_or_in_the_attestor(string text) =>
        Assert.Equal("abc", Assert.IsType<AttestorConfig.JoinToken>(Read(text)).Token!.Reveal());

    [Fact]
    public void Without_an_attestor_there_is_none_until_the_agent_needs_one() => Assert.Null(Assert.IsType<AttestorConfig.JoinToken>(Read("")).Token);

    [Fact]
    public void Files_lie_beside_the_configuration() =>
        Assert.Equal(new AttestorConfig.X509Pop("/etc/signet/node.pem", "/keys/node.key", null), Read("attestor: {type: x509pop, certificate: node.pem, key: /keys/node.key}"));

    [Fact]
    public void A_pods_token_lies_where_SPIRE_projects_it() =>
        Assert.Equal(new AttestorConfig.K8sPsat("demo", "/var/run/secrets/tokens/spire-agent"), Read("attestor: {type: k8sPsat, cluster: demo}"));

    [Fact]
    public void A_host_of_SSH_has_its_files_where_OpenSSH_puts_them()
    {
        Assert.Equal(new AttestorConfig.SshPop("/etc/ssh/ssh_host_rsa_key-cert.pub", "/etc/ssh/ssh_host_rsa_key"), Read("attestor: {type: sshpop}"));
        Assert.Equal(new AttestorConfig.SshPop("/etc/signet/host-cert.pub", "/etc/signet/host"), Read("attestor: {type: sshpop, certificate: host-cert.pub, key: host}"));
    }

    [Fact]
    public void A_TPM_is_the_one_that_the_kernel_shares_out()
    {
        var config = Assert.IsType<AttestorConfig.TpmDevId>(Read("attestor: {type: tpmDevid, certificate: d.pem, publicKey: d.pub, privateKey: d.priv, keyPassword: 'env:KEY'}"));
        Assert.Equal(("/etc/signet/d.pem", "/etc/signet/d.pub", "/etc/signet/d.priv", "/dev/tpmrm0"), (config.Certificate, config.PublicKey, config.PrivateKey, config.Device));
        Assert.Equal("secret", config.KeyPassword!.Reveal());
    }

    [Fact]
    public void A_host_answers_on_port_80_unless_something_in_between_leads_elsewhere()
    {
        var config = Assert.IsType<AttestorConfig.HttpChallenge>(Read("attestor: {type: httpChallenge, hostName: node-1.example.org}"));
        Assert.Equal(("node-1.example.org", "default", "0.0.0.0:80", null), (config.HostName, config.AgentName, config.Listen.ToString(), config.AdvertisedPort));
        config = Assert.IsType<AttestorConfig.HttpChallenge>(Read("attestor: {type: httpChallenge, hostName: node-1.example.org, agentName: blue, listen: '127.0.0.1:8080', advertisedPort: 80}"));
        Assert.Equal(("blue", "127.0.0.1:8080", 80), (config.AgentName, config.Listen.ToString(), config.AdvertisedPort));
    }

    [Theory]
    [InlineData("joinToken: abc\nattestor: {type: x509pop, certificate: a, key: b}", "one way to prove itself")]
    [InlineData("attestor: {type: x509po}", "did you mean \"x509pop\"")]
    [InlineData("attestor: {type: joinToken}", "token: is missing")]
    [InlineData("attestor: {type: x509pop, certificate: a}", "key: is missing")]
    [InlineData("attestor: {type: k8sPsat}", "cluster: is missing")]
    [InlineData("attestor: {type: tpmDevid, certificate: d.pem}", "privateKey: is missing")]
    [InlineData("attestor: {type: httpChallenge}", "hostName: is missing")]
    [InlineData("attestor: {type: httpChallenge, hostName: a, agentName: ../x}", "is not a word")]
    [InlineData("attestor: {type: k8sPsat, cluster: demo, token: abc}", "unknown key \"token\"")]
    public void What_is_wrong_is_said(string text, string problem) =>
        Assert.Contains(Assert.Throws<ConfigException>(() => Read(text)).Problems, found => found.ToString().Contains(problem, StringComparison.Ordinal));

    private static AttestorConfig Read(string text) => ConfigDocument.Read(
        "/etc/signet/agent.yaml",
        "trustDomain: example.org\nserver: 127.0.0.1:8081\n" + text,
        new Dictionary<string, string> { ["KEY"] = "secret" },
        root => AgentConfig.Read(root, Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var wrong) ? places : throw new InvalidOperationException(wrong))).Attestor;
}
