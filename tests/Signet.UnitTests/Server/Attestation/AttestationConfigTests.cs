using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Server;
using Signet.Server.Attestation;

namespace Signet.UnitTests.Server.Attestation;

public sealed class AttestationConfigTests
{
    [Fact]
    public void Nothing_but_join_tokens_is_open_unless_it_is_configured()
    {
        var config = Read("attestation: {joinToken: {}}");
        Assert.Null(config.X509Pop);
        Assert.Null(config.HttpChallenge);
        Assert.Null(config.SshPop);
        Assert.Null(config.TpmDevId);
        Assert.Empty(config.K8sPsat);
    }

    [Fact]
    public void Everything_that_can_be_configured_is_read()
    {
        var config = Read("""
            attestation:
              x509pop: {caBundles: [a.pem, /b.pem], agentName: "{commonName}", usage: any}
              httpChallenge: {allowedDnsPatterns: ['node-[0-9]+\.example\.org'], port: 443, tofu: false, allowedNetworks: [10.0.0.0/8]}
              k8sPsat:
                clusters:
                  demo: {serviceAccounts: ["spire:spire-agent"], audiences: [signet], nodeLabels: [zone], podLabels: [app], server: "https://10.0.0.1:6443", caFile: /ca.crt, tokenFile: /token}
            """);
        Assert.Equal(["/etc/signet/a.pem", "/b.pem"], config.X509Pop!.CaBundles);
        Assert.Equal((443, false), (config.HttpChallenge!.Port, config.HttpChallenge.Tofu));
        Assert.Single(config.HttpChallenge.AllowedNetworks);
        var cluster = config.K8sPsat["demo"];
        Assert.Equal(["spire:spire-agent"], cluster.ServiceAccounts);
        Assert.Equal(["signet", "zone", "app"], [.. cluster.Audiences, .. cluster.NodeLabels, .. cluster.PodLabels]);
        Assert.Equal(("https://10.0.0.1:6443/", "/ca.crt", "/token"), (cluster.Server.ToString(), cluster.CaFile, cluster.TokenFile));
    }

    [Fact]
    public void Hosts_of_SSH_and_devices_with_a_TPM_are_read()
    {
        var config = Read("""
            attestation:
              sshpop: {certAuthorities: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEAWPAsKJ/qMYUIBeH7BLMRCE/bkUvMHX+7OZhANk45S ca"], certAuthorityFiles: [ca.pub], agentName: "dc/{keyId}", canonicalDomain: example.org}
              tpmDevid: {devIdCaBundles: [d.pem], endorsementCaBundles: [/e.pem]}
            """);
        Assert.Single(config.SshPop!.Authorities);
        Assert.Equal(["/etc/signet/ca.pub", "example.org"], [.. config.SshPop.AuthorityFiles, config.SshPop.CanonicalDomain!]);
        Assert.NotSame(AgentName.ByFingerprint, config.SshPop.AgentName);
        Assert.Equal(["/etc/signet/d.pem", "/e.pem"], [.. config.TpmDevId!.DevIdCaBundles, .. config.TpmDevId.EndorsementCaBundles]);
    }

    [Fact]
    public void A_cluster_in_which_the_server_runs_needs_no_address()
    {
        var cluster = Read("attestation: {k8sPsat: {clusters: {demo: {serviceAccounts: ['a:b']}}}}").K8sPsat["demo"];
        Assert.Equal(("https://kubernetes.default.svc/", "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"), (cluster.Server.ToString(), cluster.CaFile));
        Assert.Equal(["spire-server"], cluster.Audiences);
    }

    [Theory]
    [InlineData("sshpop: {}", "certAuthorities")]
    [InlineData("sshpop: {certAuthorities: [abc]}", "it is not a line such as")]
    [InlineData("sshpop: {certAuthorityFiles: [a], agentName: node}", "would name all nodes alike")]
    [InlineData("sshpop: {certAuthorityFiles: [a], agentName: '{commonName}'}", "would name all nodes alike")]
    [InlineData("tpmDevid: {devIdCaBundles: [a]}", "endorsementCaBundles")]
    [InlineData("x509pop: {}", "caBundles")]
    [InlineData("x509pop: {caBundles: [a.pem], agentName: node}", "would name all nodes alike")]
    [InlineData("x509pop: {caBundles: [a.pem], usage: clients}", "did you mean \"client\"")]
    [InlineData("httpChallenge: {}", "allowedDnsPatterns")]
    [InlineData("httpChallenge: {allowedDnsPatterns: ['(']}", "is not a regular expression")]
    [InlineData(@"httpChallenge: {allowedDnsPatterns: ['(a)\1']}", "is not a regular expression")]
    [InlineData("httpChallenge: {allowedDnsPatterns: [a], tofu: false, port: 8080}", "can be false only with a port below 1024")]
    [InlineData("httpChallenge: {allowedDnsPatterns: [a], tofu: false, port: any}", "can be false only with a port below 1024")]
    [InlineData("httpChallenge: {allowedDnsPatterns: [a], port: 0}", "is neither a port nor the word any")]
    [InlineData("httpChallenge: {allowedDnsPatterns: [a], allowedNetworks: [10.0.0.0]}", "is not a network")]
    [InlineData("k8sPsat: {}", "clusters")]
    [InlineData("k8sPsat: {clusters: {demo: {}}}", "serviceAccounts")]
    [InlineData("k8sPsat: {clusters: {demo: {serviceAccounts: [agent]}}}", "is not NAMESPACE:NAME")]
    [InlineData("k8sPsat: {clusters: {'a/b': {serviceAccounts: ['a:b']}}}", "is no part of an ID")]
    [InlineData("k8sPsat: {clusters: {demo: {serviceAccounts: ['a:b'], server: 'http://10.0.0.1'}}}", "write it as https://HOST:PORT")]
    [InlineData("x509Pop: {caBundles: [a.pem]}", "did you mean \"x509pop\"")]
    public void What_is_wrong_is_said(string attestation, string problem) =>
        Assert.Contains(Assert.Throws<ConfigException>(() => Read($"attestation: {{{attestation}}}")).Problems, found => found.ToString().Contains(problem, StringComparison.Ordinal));

    private static AttestationConfig Read(string text) =>
        ConfigDocument.Read("/etc/signet/server.yaml", "trustDomain: example.org\n" + text, new Dictionary<string, string>(), root => ServerConfig.Read(root, Home())).Attestation;

    private static Places Home() => Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var problem) ? places : throw new InvalidOperationException(problem);
}
