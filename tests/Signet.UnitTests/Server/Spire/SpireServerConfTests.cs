using System.Net;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server;
using Signet.Server.Access;
using Signet.Server.Upstream;

namespace Signet.UnitTests.Server.Spire;

public sealed class SpireServerConfTests
{
    /// <summary>What SPIRE's own examples and charts hold.</summary>
    private const string Sample =
        """
        server {
            bind_address = "0.0.0.0"
            bind_port = "8081"
            socket_path = "/tmp/spire-server/private/api.sock"
            trust_domain = "example.org"
            data_dir = "/run/spire/data"
            log_level = "DEBUG"
            ca_key_type = "rsa-2048"
            ca_ttl = "24h"
            default_x509_svid_ttl = "2h"
            default_jwt_svid_ttl = "10m"
            admin_ids = ["spiffe://example.org/admin"]
            ca_subject = {
                country = ["US"],
                organization = ["SPIFFE"],
                common_name = "Example CA",
            }
        }

        plugins {
            DataStore "sql" {
                plugin_data {
                    database_type = "sqlite3"
                    connection_string = "/run/spire/data/datastore.sqlite3"
                }
            }
            NodeAttestor "k8s_sat" {
                plugin_data {
                    clusters = {
                        "demo-cluster" = {
                            use_token_review_api_validation = true
                            service_account_allow_list = ["spire:spire-agent"]
                        }
                    }
                }
            }
            NodeAttestor "join_token" {
                plugin_data {}
            }
            KeyManager "disk" {
                plugin_data {
                    keys_path = "/run/spire/data/keys.json"
                }
            }
            UpstreamAuthority "disk" {
                plugin_data {
                    ttl = "12h"
                    key_file_path = "/run/spire/secrets/bootstrap.key"
                    cert_file_path = "/run/spire/secrets/bootstrap.crt"
                }
            }
            Notifier "k8sbundle" {
                plugin_data {
                    namespace = "spire"
                }
            }
        }

        telemetry {
            Prometheus { host = "localhost" port = 9988 }
            Statsd = [ { address = "localhost:8125" }, ]
        }

        health_checks {
            listener_enabled = true
            bind_address = "0.0.0.0"
            bind_port = "8080"
            live_path = "/live"
            ready_path = "/ready"
        }
        """;

    [Fact]
    public void A_file_of_SPIREs_becomes_a_configuration_of_ours()
    {
        var config = Read(Sample);
        Assert.Equal("example.org", config.TrustDomain.Name);
        Assert.Equal(new IPEndPoint(IPAddress.Any, 8081), config.Listen);
        Assert.Equal("/tmp/spire-server/private/api.sock", config.AdminSocket);
        Assert.Equal("/run/spire/data", config.DataDir);
        Assert.Equal("/run/spire/data/signet.db", config.StorePath);
        Assert.Equal((TimeSpan.FromHours(24), KeyType.Rsa2048), (config.Authority.IssuingTtl, config.Authority.KeyType));
        Assert.Equal((TimeSpan.FromHours(2), TimeSpan.FromMinutes(10)), (config.X509Ttl, config.JwtTtl));
        Assert.Equal(("US", "SPIFFE", "Example CA"), (config.Authority.Subject.Country, config.Authority.Subject.Organization, config.Authority.Subject.CommonName));
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 9988), config.Metrics);
        Assert.True(config.Access.Of(SpiffeId.Parse("spiffe://example.org/admin"), null).JudgeEverywhere(AccessAction.EntryWrite).IsAllowed);
        Assert.Equal(LogLevel.Debug, ConfigDocument.Read("server.conf", Sample, new Dictionary<string, string>(), root => (Log: ServerConfig.ReadLog(root), Config: ServerConfig.Read(root, Places()))).Log.Level);
    }

    [Theory]
    [InlineData("DataStore.sql.plugin_data.connection_string: SPIRE's database is not taken over")]
    [InlineData("NodeAttestor.k8s_sat: NodeAttestor \"k8s_sat\" has no effect: agents can't attest like this here")]
    [InlineData("KeyManager.disk.plugin_data.keys_path: SPIRE's keys are not taken over")]
    [InlineData("UpstreamAuthority.disk.plugin_data.ttl: ttl has no effect")]
    [InlineData("Notifier.k8sbundle: Notifier \"k8sbundle\" has no effect")]
    [InlineData("telemetry.Statsd: Statsd has no effect")]
    [InlineData("health_checks.bind_port: health is at 127.0.0.1:9988")]
    public void Whatever_has_no_effect_is_told_with_what_happens_instead(string warning) =>
        Assert.Contains(Read(Sample).Warnings, one => one.ToString().Contains(warning, StringComparison.Ordinal) && one.Line > 0);

    [Fact]
    public void The_defaults_are_SPIREs_where_others_rely_on_them()
    {
        var config = Read("server { trust_domain = \"example.org\" data_dir = \"/d\" }");
        Assert.Equal(new IPEndPoint(IPAddress.Any, 8081), config.Listen);
        Assert.Equal("/tmp/spire-server/private/api.sock", config.AdminSocket);
        Assert.Equal((TimeSpan.FromHours(1), TimeSpan.FromMinutes(5), TimeSpan.FromHours(24)), (config.X509Ttl, config.JwtTtl, config.Authority.IssuingTtl));
        Assert.Empty(config.Warnings);
    }

    [Fact]
    public void A_bundle_endpoint_and_those_it_federates_with_are_taken_over()
    {
        var config = Read(
            """
            server {
                trust_domain = "example.org"
                federation {
                    bundle_endpoint {
                        address = "127.0.0.1"
                        port = 9443
                        refresh_hint = "10m"
                        profile "https_web" {
                            acme { directory_url = "https://acme.example/dir" domain_name = "Bundle.example.org" email = "ops@example.org" tos_accepted = true }
                        }
                    }
                    federates_with "one.example" {
                        bundle_endpoint_url = "https://one.example/bundle"
                        bundle_endpoint_profile "https_web" {}
                    }
                    federates_with "two.example" {
                        bundle_endpoint_url = "https://two.example:8443/"
                        bundle_endpoint_profile "https_spiffe" { endpoint_spiffe_id = "spiffe://two.example/spire/server" }
                    }
                }
            }
            """);
        Assert.Empty(config.Warnings);
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 9443), config.Http!.Listen);
        Assert.Equal(("https://acme.example/dir", "ops@example.org", true), (config.Http.Acme!.Directory.AbsoluteUri, config.Http.Acme.Email, config.Http.Acme.TermsAgreed));
        Assert.Equal(["bundle.example.org"], config.Http.Acme.Names);
        Assert.Equal((true, TimeSpan.FromMinutes(10)), (config.Federation.ServesBundle, config.Federation.RefreshHint));
        Assert.Equal(["https_web", "https_spiffe"], config.Federation.Relationships.Select(one => one.Relationship.Profile is Signet.Server.Federation.EndpointProfile.HttpsWeb ? "https_web" : "https_spiffe"));
    }

    [Theory]
    [InlineData("bundle_endpoint { profile \"https_web\" { acme { domain_name = \"*.example.org\" } } }", "stands for many names")]
    [InlineData("bundle_endpoint { profile \"https_web\" { acme { domain_name = \"a.example\" directory_url = \"http://acme.example/\" } } }", "is not an https URL")]
    [InlineData("federates_with \"one.example\" { bundle_endpoint_url = \"https://one.example\" }", "write https_web or https_spiffe")]
    [InlineData("federates_with \"one.example\" { bundle_endpoint_url = \"http://one.example\" bundle_endpoint_profile \"https_web\" {} }", "https")]
    [InlineData("federates_with \"example.org\" { bundle_endpoint_url = \"https://one.example\" bundle_endpoint_profile \"https_web\" {} }", "example.org")]
    public void A_federation_that_can_not_be_taken_over_stops_the_server(string federation, string expected) =>
        Assert.Contains(expected, Assert.Throws<ConfigException>(() => Read($"server {{ trust_domain = \"example.org\" federation {{ {federation} }} }}")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_bundle_endpoint_without_a_certificate_of_the_web_presents_the_servers_SVID()
    {
        var config = Read("server { trust_domain = \"example.org\" federation { bundle_endpoint { address = \"0.0.0.0\" port = 8443 } } }");
        Assert.Equal((true, false), (config.Federation.ServesBundle, config.Http!.PresentsWebCertificate));
    }

    [Fact]
    public void An_upstream_authority_on_disk_signs_the_servers_own()
    {
        var config = Read(Sample);
        Assert.Equal(new UpstreamConfig.Signer("/run/spire/secrets/bootstrap.crt", "/run/spire/secrets/bootstrap.key", Bundle: null), config.Upstream);
        Assert.True(config.Authority.IsExternal);
        Assert.False(config.Authority.HasVolatileKeys);
        Assert.Equal("/b.pem", Assert.IsType<UpstreamConfig.Signer>(Upstream("disk", "cert_file_path = \"/c\" key_file_path = \"/k\" bundle_file_path = \"/b.pem\"").Upstream).Bundle);
    }

    [Fact]
    public void An_upstream_server_is_asked_under_the_SVID_of_the_socket_and_told_what_is_not_passed_on()
    {
        var config = Upstream("spire", "server_address = \"above\" server_port = \"9081\" workload_api_socket = \"/run/spire/sockets/api.sock\"");
        var server = Assert.IsType<UpstreamConfig.Server>(config.Upstream);
        Assert.Equal((new DnsEndPoint("above", 9081), "/run/spire/sockets/api.sock"), (server.Address, server.Socket.Path));
        Assert.Contains("keys of JWT-SVIDs are not passed on", Assert.Single(config.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_upstream_authorities_and_plugins_of_agents_are_told_to_have_no_effect()
    {
        var config = Read("server { trust_domain = \"example.org\" } plugins { UpstreamAuthority \"vault\" { plugin_data { } } WorkloadAttestor \"k8s\" { plugin_data { } } }");
        Assert.Null(config.Upstream);
        Assert.False(config.Authority.IsExternal);
        Assert.Equal(["UpstreamAuthority \"vault\" has no effect: this server signs with a trust anchor of its own; give relying parties its bundle (signet bundle show)", "WorkloadAttestor \"k8s\" has no effect: servers have no such plugins; agents do"], config.Warnings.Select(warning => warning.Message));
    }

    [Fact]
    public void The_older_name_of_a_lifetime_counts_unless_the_newer_is_there()
    {
        Assert.Equal(TimeSpan.FromMinutes(30), Read("server { trust_domain = \"example.org\" default_svid_ttl = \"30m\" }").X509Ttl);
        Assert.Equal(TimeSpan.FromMinutes(20), Read("server { trust_domain = \"example.org\" default_svid_ttl = \"30m\" default_x509_svid_ttl = \"20m\" }").X509Ttl);
    }

    [Theory]
    [InlineData("", KeyType.EcP256)]
    [InlineData("ca_key_type = \"ec-p384\"", KeyType.EcP384)]
    [InlineData("jwt_key_type = \"rsa-4096\"", KeyType.Rsa4096)]
    [InlineData("ca_key_type = \"rsa-2048\" jwt_key_type = \"ec-p256\"", KeyType.EcP256)]
    public void JWT_keys_are_of_the_type_that_is_asked_for_and_else_like_the_authoritys(string keys, KeyType expected)
    {
        var config = Read($"server {{ trust_domain = \"example.org\" {keys} }}");
        Assert.Equal(expected, config.Authority.JwtKeyType);
        Assert.Empty(config.Warnings);
    }

    [Fact]
    public void The_issuer_of_tokens_is_taken_over_when_readers_can_find_it()
    {
        Assert.Equal("https://oidc.example.org", Read("server { trust_domain = \"example.org\" jwt_issuer = \"https://oidc.example.org\" }").JwtIssuer);
        var config = Read("server { trust_domain = \"example.org\" jwt_issuer = \"somebody\" }");
        Assert.Null(config.JwtIssuer);
        Assert.Contains("jwt_issuer has no effect", Assert.Single(config.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void JSON_is_read_too_with_plugins_in_lists()
    {
        var config = Read(
            """
            {"server": {"trust_domain": "example.org", "bind_port": 9081},
             "plugins": {"DataStore": [{"sql": {"plugin_data": {"database_type": "sqlite3", "connection_string": "x"}}}], "KeyManager": [{"memory": {"plugin_data": {}}}],
                         "NodeAttestor": [{"join_token": {"plugin_data": {}}}, {"x509pop": {"plugin_data": {"ca_bundle_path": "x"}}}]}}
            """);
        Assert.Equal(9081, config.Listen.Port);
        Assert.True(config.Authority.HasVolatileKeys);
        Assert.Equal(["x"], config.Attestation.X509Pop!.CaBundles);
    }

    [Theory]
    [InlineData("server { bind_port = 1 }", "trust_domain")]
    [InlineData("server { trust_domain = \"example.org\" disable_jwt_svids = true }", "can't be switched off here")]
    [InlineData("server { trust_domain = \"example.org\" experimental { require_pq_kem = true } }", "how connections are protected")]
    [InlineData("server { trust_domain = \"example.org\" experimental { auth_opa_policy_engine { } } }", "decides who may do what")]
    [InlineData("server { trust_domain = \"example.org\" bnd_port = 1 }", "did you mean \"bind_port\"?")]
    [InlineData("server { trust_domain = \"example.org\" admin_ids = [\"x\"] }", "SPIFFE ID")]
    [InlineData("server { trust_domain = \"example.org\" log_level = \"LOUD\" }", "is not one of TRACE")]
    [InlineData("server { trust_domain = \"example.org\" bind_address = \"host\" }", "is not an address")]
    [InlineData("server { trust_domain = \"example.org\" jwt_key_type = \"ed25519\" }", "jwt_key_type")]
    [InlineData("server { trust_domain = \"example.org\" } plugins { DataStore \"sql\" { plugin_data { database_type = \"postgres\" connection_string = \"x\" } } }", "only sqlite3 is understood")]
    [InlineData("server { trust_domain = \"example.org\" } plugins { KeyManager \"aws_kms\" { plugin_data { region = \"x\" } } }", "its keys would lie on the disk")]
    [InlineData("server { trust_domain = \"example.org\" } plugins { UpstreamAuthority \"disk\" { plugin_data { cert_file_path = \"/c\" } } }", "key_file_path")]
    [InlineData("server { trust_domain = \"example.org\" } plugins { UpstreamAuthority \"spire\" { plugin_data { server_address = \"x\" workload_api_socket = \"relative\" } } }", "must name an absolute path")]
    [InlineData("server { trust_domain = \"example.org\" } plugins { UpstreamAuthority \"spire\" { plugin_data { server_address = \"x\" workload_api_socket = \"/s\" experimental { require_pq_kem = true } } } }", "post-quantum")]
    [InlineData("server { trust_domain = \"example.org\" } plugins { Other \"x\" { } }", "this kind of plugin is not known")]
    [InlineData("server { trust_domain = \"example.org\" } plugins { NodeAttestor \"own\" { plugin_cmd = \"/bin/x\" } }", "lies outside this program")]
    [InlineData("server { trust_domain = \"example.org\" } pluginz { }", "unknown key \"pluginz\"")]
    public void Whatever_would_be_dangerous_to_pass_over_stops_the_server(string text, string expected)
    {
        var wrong = Assert.Throws<ConfigException>(() => Read(text));
        Assert.Contains(expected, wrong.Message);
    }

    [Fact]
    public void A_plugin_that_is_not_enabled_is_passed_over() =>
        Assert.Contains("is not enabled", Assert.Single(Read("server { trust_domain = \"example.org\" } plugins { KeyManager \"aws_kms\" { enabled = false plugin_data { a = 1 } } }").Warnings).Message);

    private static ServerConfig Upstream(string name, string data) => Read($"server {{ trust_domain = \"example.org\" }} plugins {{ UpstreamAuthority \"{name}\" {{ plugin_data {{ {data} }} }} }}");

    private static ServerConfig Read(string text) => ConfigDocument.Read(
        "server.conf",
        text,
        new Dictionary<string, string>(),
        root =>
        {
            ServerConfig.ReadLog(root);
            var config = ServerConfig.Read(root, Places());
            return config;
        });

    private static Places Places() => Signet.Hosting.Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var problem) ? places : throw new InvalidOperationException(problem);
}
