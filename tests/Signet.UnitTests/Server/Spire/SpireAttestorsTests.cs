using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.X509;
using Signet.Server;
using Signet.Server.Attestation;

namespace Signet.UnitTests.Server.Spire;

public sealed class SpireAttestorsTests
{
    [Fact]
    public void Certificates_count_as_SPIRE_counts_them()
    {
        var config = Read("x509pop", """ca_bundle_paths = ["/a.pem", "/b.pem"]""").Attestation.X509Pop!;
        Assert.Equal(["/a.pem", "/b.pem"], config.CaBundles);
        Assert.Equal(CertificateUsage.Any, config.Usage);
        Assert.Equal(["/c.pem"], Read("x509pop", """mode = "external_pki" ca_bundle_path = "/c.pem" """).Attestation.X509Pop!.CaBundles);
    }

    [Theory]
    [InlineData("{{ .PluginName }}/{{ .Fingerprint }}")]
    [InlineData("/{{ .PluginName }}/{{ .Subject.CommonName }}")]
    [InlineData("/x509pop/dc/{{.SerialNumberHex}}")]
    public void A_template_that_has_a_counterpart_is_translated(string template) =>
        Assert.Empty(Read("x509pop", $"""ca_bundle_path = "/c.pem" agent_path_template = "{template}" """).Warnings);

    [Theory]
    [InlineData("/cn/{{ .Subject.CommonName }}")]
    [InlineData("cn/{{ .Subject.CommonName }}")]
    [InlineData("{{ .PluginName }}/{{ .Subject.SerialNumber }}")]
    [InlineData("{{ .PluginName }}/{{ .Subject.CommonName | lower }}")]
    [InlineData("{{ .PluginName }}/node")]
    public void A_template_that_would_give_other_IDs_stops_the_server(string template) =>
        Assert.Contains("agents would have other IDs", Assert.Throws<ConfigException>(() => Read("x509pop", $"""ca_bundle_path = "/c.pem" agent_path_template = "{template}" """)).Message);

    [Fact]
    public void Exchanging_SVIDs_is_told_to_be_missing()
    {
        var config = Read("x509pop", """mode = "spiffe" svid_prefix = "/x" """);
        Assert.Null(config.Attestation.X509Pop);
        Assert.Contains("SVIDs can't be exchanged", Assert.Single(config.Warnings).Message);
    }

    [Fact]
    public void A_cluster_in_which_the_server_runs_is_taken_over_and_another_is_told_to_be_missing()
    {
        var config = Read("k8s_psat", """
            clusters = {
                "demo" = { service_account_allow_list = ["spire:spire-agent"] allowed_node_label_keys = ["zone"] }
                "far" = { service_account_allow_list = ["spire:spire-agent"] kube_config_file = "/kube" audience = ["x"] }
            }
            """);
        var cluster = Assert.Single(config.Attestation.K8sPsat);
        Assert.Equal("demo", cluster.Key);
        Assert.Equal(["spire:spire-agent", "spire-server", "zone"], [.. cluster.Value.ServiceAccounts, .. cluster.Value.Audiences, .. cluster.Value.NodeLabels]);
        Assert.Contains("pods of cluster far are refused", Assert.Single(config.Warnings).Message);
    }

    [Fact]
    public void Hosts_are_asked_as_before_where_that_is_safe()
    {
        var config = Read("http_challenge", """allowed_dns_patterns = ["p[0-9]\\.example\\.com"] required_port = 443 tofu = false""").Attestation.HttpChallenge!;
        Assert.Equal((443, false), (config.Port, config.Tofu));
        Assert.Matches(config.AllowedDnsPatterns[0], "p1.example.com");
        Assert.DoesNotMatch(config.AllowedDnsPatterns[0], "p1.example.com.evil.org");
        Assert.Null(Read("http_challenge", """allowed_dns_patterns = ["a"]""").Attestation.HttpChallenge!.Port);
        Assert.Equal(80, Read("http_challenge", """allowed_dns_patterns = ["a"] allow_non_root_ports = false""").Attestation.HttpChallenge!.Port);

        var open = Read("http_challenge", "");
        Assert.Null(open.Attestation.HttpChallenge);
        Assert.Contains("would admit whatever host asks", Assert.Single(open.Warnings).Message);
        Assert.Contains("can be false only with", Assert.Throws<ConfigException>(() => Read("http_challenge", """allowed_dns_patterns = ["a"] tofu = false""")).Message);
    }

    [Fact]
    public void Hosts_of_SSH_are_taken_over_with_their_names()
    {
        const string Authority = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEAWPAsKJ/qMYUIBeH7BLMRCE/bkUvMHX+7OZhANk45S";
        var config = Read("sshpop", "cert_authorities = [\"" + Authority + "\"] " + """cert_authorities_path = "/ca.pub" canonical_domain = "example.com" agent_path_template = "{{ .PluginName }}/{{ .Hostname }}" """).Attestation.SshPop!;
        Assert.Single(config.Authorities);
        Assert.Equal(["/ca.pub", "example.com"], [.. config.AuthorityFiles, config.CanonicalDomain!]);
        Assert.NotSame(AgentName.ByFingerprint, config.AgentName);
        Assert.Same(AgentName.ByFingerprint, Read("sshpop", """cert_authorities_path = "/ca.pub" """).Attestation.SshPop!.AgentName);
        Assert.Contains("would name all nodes alike", Assert.Throws<ConfigException>(() => Read("sshpop", """cert_authorities_path = "/ca.pub" agent_path_template = "static/{{ index .ValidPrincipals 0 }}" """)).Message);
        Assert.Contains("is missing", Assert.Throws<ConfigException>(() => Read("sshpop", "")).Message);
        Assert.Contains("source-address", Assert.Single(Read("sshpop", """cert_authorities_path = "/ca.pub" verify_client_ip = true """).Warnings).Message);
    }

    [Fact]
    public void Devices_with_a_TPM_are_taken_over()
    {
        var config = Read("tpm_devid", """devid_ca_path = "/d.pem" endorsement_ca_path = "/e.pem" """).Attestation.TpmDevId!;
        Assert.Equal(["/d.pem", "/e.pem"], [.. config.DevIdCaBundles, .. config.EndorsementCaBundles]);
        Assert.Contains("endorsement_ca_path", Assert.Throws<ConfigException>(() => Read("tpm_devid", """devid_ca_path = "/d.pem" """)).Message);
    }

    [Fact]
    public void An_unknown_option_of_an_attestor_is_a_problem() =>
        Assert.Contains("unknown key \"verify_client\"", Assert.Throws<ConfigException>(() => Read("x509pop", """ca_bundle_path = "/c.pem" verify_client = true""")).Message);

    private static ServerConfig Read(string attestor, string data) => ConfigDocument.Read(
        "server.conf",
        $$"""
        server { trust_domain = "example.org" }
        plugins { NodeAttestor "{{attestor}}" { plugin_data { {{data}} } } }
        """,
        new Dictionary<string, string>(),
        root =>
        {
            ServerConfig.ReadLog(root);
            return ServerConfig.Read(root, Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var wrong) ? places : throw new InvalidOperationException(wrong));
        });
}
