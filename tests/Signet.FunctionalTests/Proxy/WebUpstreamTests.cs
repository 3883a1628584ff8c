using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Servers outside the mesh, by DestinationRules with SIMPLE and MUTUAL: who is believed, what is presented, and what is logged of it.</summary>
public sealed class WebUpstreamTests : IDisposable
{
    private const string Host = "orders.default.svc.cluster.local";
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";

    private readonly TestFolder _files = new();
    private readonly ForgedCertificate _authority = WebServer.Authority();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task SIMPLE_reaches_a_server_by_its_host_name_and_says_so()
    {
        await using var server = WebServer.Http(WebServer.Leaf(_authority));
        await using var web = await StartAsync(server, $"mode: SIMPLE, caCertificates: {Write("ca.pem", _authority)}");
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal((200, $"|{Host}|http/1.1"), await AskAsync(client));

        var line = await web.LoggedAsync(line => line.TryGetProperty("request", out _), "the line");
        Assert.Equal((null, Host), (Text(line, "destination", "principal"), Text(line, "destination", "serverName")));
        Assert.False(line.GetProperty("tls").GetProperty("mutual").GetBoolean());
        Assert.DoesNotContain("x-forwarded-client-cert", server.App.Heads.Single(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_client_that_speaks_HTTP_2_is_served_by_a_server_that_agrees_to_HTTP_1_only()
    {
        await using var server = WebServer.Http(WebServer.Leaf(_authority));
        await using var web = await StartAsync(server, $"mode: SIMPLE, caCertificates: {Write("ca.pem", _authority)}");
        using var http = new HttpClient();
        for (var i = 0; i < 5; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{web.Outbound}/a") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var response = await http.SendAsync(request);
            Assert.Equal($"|{Host}|http/1.1", await response.Content.ReadAsStringAsync());
        }

        // Whoever found it out serves, too; only what was opened before the rule's files were read is not kept.
        Assert.InRange(server.App.Count, 1, 2);
    }

    [Theory]
    [InlineData("wrong authority", RefusalReason.PeerAuthorityUnknown)]
    [InlineData("expired", RefusalReason.PeerCertificateExpired)]
    [InlineData("wrong name", RefusalReason.PeerIdentityUnexpected)]
    [InlineData("a workload's", RefusalReason.PeerAuthorityUnknown)]
    public async Task SIMPLE_sends_nothing_to_another_server(string what, RefusalReason reason)
    {
        var leaf = what switch
        {
            "wrong authority" => WebServer.Leaf(WebServer.Authority("CN=other")),
            "expired" => WebServer.Leaf(_authority, notAfter: WebServer.Now.AddHours(-1)),
            "wrong name" => WebServer.Leaf(_authority, "elsewhere.example"),
            _ => Forged(new TestAuthority(WebServer.Now).Svid("/ns/default/sa/orders")),
        };
        await using var server = WebServer.Http(leaf);
        await using var web = await StartAsync(server, $"mode: SIMPLE, caCertificates: {Write("ca.pem", _authority)}");
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(503, (await client.AskAsync(Get)).Status);
        await web.RefusedAsync(reason);
        Assert.Empty(server.App.Heads);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_revocation_list_of_the_rule_counts(bool isRevoked)
    {
        var leaf = WebServer.Leaf(_authority);
        var list = new CertificateRevocationListBuilder();
        if (isRevoked)
        {
            list.AddEntry(Convert.FromHexString(leaf.Certificate.SerialHex));
        }

        using var bare = X509CertificateLoader.LoadCertificate(_authority.Certificate.Der.Span);
        using var issuer = bare.CopyWithPrivateKey((ECDsa)_authority.Key);
        Replace("crl.pem", PemEncoding.WriteString("X509 CRL", list.Build(issuer, 1, WebServer.Now.AddDays(1), HashAlgorithmName.SHA256, thisUpdate: WebServer.Now.AddHours(-1))));
        await using var server = WebServer.Http(leaf);
        await using var web = await StartAsync(server, $"mode: SIMPLE, caCertificates: {Write("ca.pem", _authority)}, caCrl: {_files.File("crl.pem")}");
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(isRevoked ? 503 : 200, (await client.AskAsync(Get)).Status);
        if (isRevoked)
        {
            Assert.Contains("revoked", (await web.RefusedAsync(RefusalReason.PeerCertificateRevoked)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_server_of_the_mesh_is_no_server_of_the_web_and_the_other_way_round()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, policy: Rule($"mode: SIMPLE, caCertificates: {Write("ca.pem", _authority)}"));
        await using var client = await Wire.PlainAsync(web.Outbound);
        Assert.Equal(503, (await client.AskAsync(Get)).Status);
        await web.RefusedAsync(RefusalReason.PeerAuthorityUnknown);

        await using var server = WebServer.Http(WebServer.Leaf(_authority));
        await using var other = await ProxyWorld.OutboundAsync([server.EndPoint], orders.Authority);
        await using var otherClient = await Wire.PlainAsync(other.Outbound);
        Assert.Equal(503, (await otherClient.AskAsync(Get)).Status);
        await other.RefusedAsync(RefusalReason.PeerNotAWorkload);
        Assert.Empty(server.App.Heads);
    }

    [Theory]
    [InlineData("subjectAltNames: [a.example, b.example]", "b.example", true)]
    [InlineData("subjectAltNames: [a.example, b.example]", Host, false)]
    [InlineData("sni: shop.example", "shop.example", true)]
    [InlineData("sni: shop.example", Host, false)]
    [InlineData("sni: shop.example", "*.example", false)]
    [InlineData("sni: www.shop.example", "*.shop.example", true)]
    [InlineData("sni: shop.example, subjectAltNames: [\"spiffe://elsewhere/x\"]", "shop.example", false)]
    public async Task The_certificate_must_be_for_one_of_the_names_of_the_rule(string fields, string name, bool isServed)
    {
        await using var server = WebServer.Http(WebServer.Leaf(_authority, name));
        await using var web = await StartAsync(server, $"mode: SIMPLE, caCertificates: {Write("ca.pem", _authority)}, {fields}");
        await using var client = await Wire.PlainAsync(web.Outbound);

        var (status, body) = await AskAsync(client);
        Assert.Equal(isServed ? 200 : 503, status);
        if (fields.StartsWith("sni", StringComparison.Ordinal) && isServed)
        {
            Assert.Contains($"|{fields[5..]}|", body, StringComparison.Ordinal);
        }

        if (!isServed)
        {
            await web.RefusedAsync(RefusalReason.PeerIdentityUnexpected);
        }
    }

    [Fact]
    public async Task A_server_is_believed_unseen_only_where_the_rule_says_so()
    {
        await using var server = WebServer.Http(WebServer.Leaf(WebServer.Authority("CN=anybody"), "anybody.example", WebServer.Now.AddHours(-1)));
        await using var web = await StartAsync(server, "mode: SIMPLE, insecureSkipVerify: true");
        await using var client = await Wire.PlainAsync(web.Outbound);
        Assert.Equal(200, (await AskAsync(client)).Status);
        var line = await web.LoggedAsync(line => line.TryGetProperty("request", out _), "the line");
        Assert.Equal((null, null), (Text(line, "destination", "principal"), Text(line, "destination", "serverName")));

        web.SetPolicy(Rule("mode: SIMPLE"));
        await Eventually.IsTrueAsync(async () => (await AskAsync(client)).Status == 503, "the machine's authorities do not know it");
        await web.LoggedAsync(line => ProxyWorld.Flag(line) is "PeerAuthorityUnknown" or "PeerCertificateExpired", "the refusal");
    }

    [Fact]
    public async Task MUTUAL_presents_the_certificate_of_its_files_and_SIMPLE_none()
    {
        await using var server = WebServer.Http(WebServer.Leaf(_authority), asksFor: _authority);
        var ca = Write("ca.pem", _authority);
        WriteClient("CN=first");
        await using var web = await StartAsync(server, Mutual(ca));
        await using var client = await Wire.PlainAsync(web.Outbound);
        Assert.Equal((200, $"CN=first|{Host}|http/1.1"), await AskAsync(client));
        Assert.True((await web.LoggedAsync(line => line.TryGetProperty("request", out _), "the line")).GetProperty("tls").GetProperty("mutual").GetBoolean());

        web.SetPolicy(Rule($"mode: SIMPLE, caCertificates: {ca}"));
        await Eventually.IsTrueAsync(async () => (await AskAsync(client)).Status is 502 or 503, "the server refuses who shows none");
    }

    [Fact]
    public async Task MUTUAL_follows_its_files_and_keeps_the_old_certificate_when_the_new_one_is_broken()
    {
        await using var server = WebServer.Http(WebServer.Leaf(_authority), asksFor: _authority);
        WriteClient("CN=first");
        await using var web = await StartAsync(server, Mutual(Write("ca.pem", _authority)));
        await using var client = await Wire.PlainAsync(web.Outbound);
        Assert.StartsWith("CN=first|", (await AskAsync(client)).Body, StringComparison.Ordinal);

        WriteClient("CN=second");
        await Eventually.IsTrueAsync(async () => (await AskAsync(client)).Body.StartsWith("CN=second|", StringComparison.Ordinal), "the new certificate is presented");

        // A key that belongs to another certificate, and a certificate that is none.
        Replace("client.key", Pem.EncodePrivateKey(_authority.Key));
        WriteClient("CN=third");
        await Eventually.IsTrueAsync(async () => (await AskAsync(client)).Body.StartsWith("CN=third|", StringComparison.Ordinal), "files that fit again are taken");
        Replace("client.pem", "nonsense");
        for (var i = 0; i < 3; i++)
        {
            await using var another = await Wire.PlainAsync(web.Outbound);
            Assert.StartsWith("CN=third|", (await AskAsync(another)).Body, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("broken")]
    [InlineData("another's key")]
    [InlineData("expired")]
    [Proves(RefusalReason.CredentialUnusable)]
    public async Task MUTUAL_sends_nothing_without_a_certificate_that_can_be_used_and_begins_when_there_is_one(string what)
    {
        await using var server = WebServer.Http(WebServer.Leaf(_authority), asksFor: _authority);
        var ca = Write("ca.pem", _authority);
        WriteClient("CN=first", what == "expired" ? WebServer.Now.AddHours(-1) : null);
        switch (what)
        {
            case "missing":
                File.Delete(_files.File("client.key"));
                break;
            case "broken":
                Replace("client.pem", "nonsense");
                break;
            case "another's key":
                Replace("client.key", Pem.EncodePrivateKey(_authority.Key));
                break;
        }

        await using var web = await StartAsync(server, Mutual(ca));
        await using var client = await Wire.PlainAsync(web.Outbound);
        Assert.Equal(503, (await client.AskAsync(Get)).Status);
        var line = await web.RefusedAsync(RefusalReason.CredentialUnusable);
        Assert.Contains("client.", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("PRIVATE", line.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(0, server.App.Count);

        WriteClient("CN=first");
        await Eventually.IsTrueAsync(async () => (await AskAsync(client)).Status == 200, "the files are good now");
    }

    [Fact]
    [Proves(RefusalReason.ClientTlsUnsupported)]
    public async Task A_credential_by_name_is_refused_with_its_reason()
    {
        await using var server = WebServer.Http(WebServer.Leaf(_authority));
        await using var web = await ProxyWorld.OutboundAsync(
            [server.EndPoint], new TestAuthority(WebServer.Now), policy: Rule("mode: SIMPLE, credentialName: shop").Replace("spec: {", "spec: {workloadSelector: {matchLabels: {app: web}}, ", StringComparison.Ordinal));
        await using var client = await Wire.PlainAsync(web.Outbound);
        Assert.Equal(503, (await client.AskAsync(Get)).Status);
        Assert.Contains("\"shop\"", (await web.RefusedAsync(RefusalReason.ClientTlsUnsupported)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, server.App.Count);
    }

    [Fact]
    public async Task A_connection_ends_when_its_servers_authority_is_no_longer_believed()
    {
        await using var server = WebServer.Echo(WebServer.Leaf(_authority));
        await using var web = await StartAsync(server, $"mode: SIMPLE, caCertificates: {Write("ca.pem", _authority)}", AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);
        await client.SendAsync("hello");
        await client.ReadUntilAsync("hello");
        Assert.Equal(Host, (await web.AdminAsync("/connections")).GetProperty("connections")[0].GetProperty("peerHost").GetString());

        Write("ca.pem", WebServer.Authority("CN=next"));
        await client.ReadToEndAsync();
        await web.RefusedAsync(RefusalReason.PeerNoLongerTrusted);
    }

    [Fact]
    public async Task Sessions_are_taken_up_under_the_same_expectations_only_and_not_where_that_is_off()
    {
        var leaf = WebServer.Leaf(_authority);
        await using var server = WebServer.Http(leaf);
        var ca = Write("ca.pem", _authority);
        await using var web = await StartAsync(server, $"mode: SIMPLE, caCertificates: {ca}", limits: new ProxyLimits { IdleUpstreams = 0 });
        Assert.True(await AnyResumedAsync(web));

        web.SetPolicy(Rule($"mode: SIMPLE, caCertificates: {ca}, subjectAltNames: [elsewhere.example]"));
        await using var client = await Wire.PlainAsync(web.Outbound);
        await Eventually.IsTrueAsync(async () => (await AskAsync(client)).Status == 503, "another name is expected");
        await web.RefusedAsync(RefusalReason.PeerIdentityUnexpected);

        await using var without = await ProxyWorld.OutboundAsync(
            [server.EndPoint], new TestAuthority(WebServer.Now), policy: Rule($"mode: SIMPLE, caCertificates: {ca}"),
            change: config => config with { Limits = new ProxyLimits { IdleUpstreams = 0 }, Outbound = [config.Outbound[0] with { Resumption = false }] });
        Assert.False(await AnyResumedAsync(without));
    }

    private static async Task<bool> AnyResumedAsync(ProxyWorld web)
    {
        for (var i = 0; i < 5; i++)
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            Assert.Equal(200, (await AskAsync(client)).Status);
        }

        await Eventually.IsTrueAsync(() => web.Log().Count >= 5, "five lines");
        return web.Log().Any(line => line.GetProperty("tls").GetProperty("resumed").GetBoolean());
    }

    private static string Rule(string tls) =>
        $"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: orders, namespace: default}}\nspec: {{host: {Host}, trafficPolicy: {{tls: {{{tls}}}}}}}\n";

    private static async Task<(int Status, string Body)> AskAsync(Wire client)
    {
        var (status, _, body) = await client.AskAsync(Get);
        return (status, body);
    }

    private static string? Text(JsonElement line, string of, string name) => line.GetProperty(of).GetProperty(name).GetString();

    private static ForgedCertificate Forged(X509Svid svid) => new(svid.Leaf, svid.Key);

    private static Task<ProxyWorld> StartAsync(WebServer server, string tls, AppProtocol protocol = AppProtocol.Http, ProxyLimits? limits = null) => ProxyWorld.OutboundAsync(
        [server.EndPoint], new TestAuthority(WebServer.Now), protocol, Rule(tls), change: config => config with { Limits = limits ?? config.Limits });

    private string Mutual(string ca) => $"mode: MUTUAL, clientCertificate: {_files.File("client.pem")}, privateKey: {_files.File("client.key")}, caCertificates: {ca}";

    private void WriteClient(string subject, DateTimeOffset? notAfter = null)
    {
        var client = WebServer.Client(_authority, subject, notAfter);
        Replace("client.key", Pem.EncodePrivateKey(client.Key));
        Replace("client.pem", Pem.Encode(client.Certificate));
    }

    private string Write(string name, ForgedCertificate certificate)
    {
        Replace(name, Pem.Encode(certificate.Certificate));
        return _files.File(name);
    }

    private void Replace(string name, string text)
    {
        File.WriteAllText(_files.File(name) + ".new", text);
        File.Move(_files.File(name) + ".new", _files.File(name), overwrite: true);
    }
}
