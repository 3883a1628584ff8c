using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Authority.Rotation;
using Signet.Client;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server;
using Signet.Server.Upstream;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

public sealed class NestedServersTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_server_below_another_signs_by_its_leave_and_what_it_signs_is_trusted_above()
    {
        await using var above = await TestTrustDomain.StartAsync();
        using var admin = above.Admin();
        await above.RegisterAsync("/nested-server");
        await using var source = new X509Source(above.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        UpstreamConfig Upstream() => new UpstreamConfig.Server(new DnsEndPoint("127.0.0.1", above.ServerEndPoint.Port), above.WorkloadApi);

        // Without a downstream entry it is refused, and does not start with an anchor that nobody trusts.
        var refused = await Assert.ThrowsAsync<Signet.Authority.Keys.KeyManagerException>(() => TestTrustDomain.StartAsync(configure: Below(Upstream())));
        Assert.Contains("none can be had from upstream", refused.Message, StringComparison.Ordinal);

        await admin.CreateEntryAsync(
            new RegistrationEntry { Id = "", SpiffeId = SpiffeId.Of(TestTrustDomain.Name, "/nested-server"), ParentId = above.AgentId, Selectors = [TestTrustDomain.Myself, new Selector("unix", $"gid:{GroupId}")], Downstream = true },
            _patience);
        await using var below = await TestTrustDomain.StartAsync(configure: Below(Upstream()));
        await below.RegisterAsync("/web");
        await using var workload = new X509Source(below.WorkloadApi, TimeProvider.System);
        var svid = (await workload.WaitAsync(_patience)).Default;
        Assert.Equal("spiffe://example.org/web", svid.Id.Uri);
        Assert.True(SvidVerifier.Verify(svid.Chain, source.Current!.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow).IsTrusted);
        Assert.Equal(source.Current.Bundles.Find(TestTrustDomain.Name)!.Authorities, workload.Current!.Bundles.Find(TestTrustDomain.Name)!.Authorities);

        // What is published above is published below.
        using var operators = above.Admin();
        await operators.Authorities.StartAsync(dryRun: false, _patience);
        await Eventually.IsTrueAsync(() => workload.Current!.Bundles.Find(TestTrustDomain.Name)!.Authorities.Count == 2, "the new anchor of the server above, below");
    }

    [Fact]
    public async Task SPIREs_sample_of_a_configuration_starts_the_server()
    {
        using var folder = new TestFolder();
        var (anchorKey, now) = (KeyPair.Generate(KeyType.EcP256), DateTimeOffset.UtcNow);
        var anchor = Signet.Authority.Ceremony.OfflineRoot.MakeAnchor(TrustDomain.Parse("example.org"), new CertificateSubject(), anchorKey, TimeSpan.FromDays(1), now);
        await File.WriteAllTextAsync(folder.File("bootstrap.crt"), Pem.Encode(anchor), _patience);
        await File.WriteAllTextAsync(folder.File("bootstrap.key"), Pem.EncodePrivateKey(anchorKey), _patience);
        File.SetUnixFileMode(folder.File("bootstrap.key"), UnixFileMode.UserRead);
        var text =
            $$"""
            server {
                bind_address = "127.0.0.1"
                bind_port = "0"
                socket_path = "{{folder.File("api.sock")}}"
                trust_domain = "example.org"
                data_dir = "{{folder.File("data")}}"
                log_level = "DEBUG"
                ca_subject = { country = ["US"], organization = ["SPIFFE"], common_name = "" }
            }
            plugins {
                DataStore "sql" {
                    plugin_data {
                        database_type = "sqlite3"
                        connection_string = "{{folder.File("data")}}/datastore.sqlite3"
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
                NodeResolver "noop" { plugin_data {} }
                WorkloadAttestor "k8s" { plugin_data { skip_kubelet_verification = true } }
                KeyManager "memory" { plugin_data {} }
                UpstreamAuthority "disk" {
                    plugin_data {
                        key_file_path = "{{folder.File("bootstrap.key")}}"
                        cert_file_path = "{{folder.File("bootstrap.crt")}}"
                    }
                }
                Notifier "k8sbundle" { plugin_data {} }
            }
            telemetry { Prometheus { host = "127.0.0.1" port = 0 } }
            """;
        Assert.True(Places.TryChoose(folder.Path, isRoot: false, userHome: null, out var places, out var problem), problem);
        var config = ConfigDocument.Read("server.conf", text, new Dictionary<string, string>(), root =>
        {
            ServerConfig.ReadLog(root);
            return ServerConfig.Read(root, places);
        });
        for (var start = 0; start < 2; start++)
        {
            var host = await ServerHost.BuildAsync(config, TimeProvider.System, () => 0.5, NullLoggerFactory.Instance, _patience);
            await using var server = await RunningDaemon.StartAsync(host.Parts, host);
            using var admin = new Signet.Cli.Clients.AdminClient(folder.File("api.sock"), TimeProvider.System);
            Assert.Equal([anchor], (await admin.BundleAsync(_patience)).Authorities);
            await Eventually.IsTrueAsync(() => host.Readiness.IsReady, "the server");
        }

        Assert.Empty(Directory.Exists(folder.File("data/keys")) ? Directory.GetFiles(folder.File("data/keys")) : []);
    }

    private static Func<ServerConfig, ServerConfig> Below(UpstreamConfig upstream) => config => config with { Upstream = upstream, Authority = config.Authority with { IsExternal = true } };

    private static uint GroupId => uint.Parse(File.ReadLines("/proc/self/status").Single(line => line.StartsWith("Gid:", StringComparison.Ordinal)).Split('\t')[1], System.Globalization.CultureInfo.InvariantCulture);
}
