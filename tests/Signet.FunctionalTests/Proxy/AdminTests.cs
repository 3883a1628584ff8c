namespace Signet.FunctionalTests.Proxy;

public sealed class AdminTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";

    [Fact]
    public async Task Shows_certificates_policies_connections_and_counters_and_never_a_key()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await client.AskAsync(Get);

        var certs = await world.AdminAsync("/certs");
        var chain = certs.GetProperty("svids")[0].GetProperty("chain");
        Assert.Equal(["spiffe://example.org/ns/default/sa/orders", "spiffe://example.org"], chain.EnumerateArray().Select(one => one.GetProperty("spiffeId").GetString()));
        Assert.Equal(world.Identity.Current!.Default.Leaf.SerialHex, chain[0].GetProperty("serial").GetString());
        Assert.Equal("example.org", certs.GetProperty("bundles")[0].GetProperty("trustDomain").GetString());

        var port = (await world.AdminAsync("/config")).GetProperty("inbound")[0];
        Assert.Equal(("STRICT", "istio-system/mesh"), (port.GetProperty("mtls").GetProperty("mode").GetString(), port.GetProperty("mtls").GetProperty("from").GetString()));

        var connection = (await world.AdminAsync("/connections")).GetProperty("connections")[0];
        Assert.Equal("spiffe://example.org/ns/default/sa/web", connection.GetProperty("peer").GetString());
        Assert.Equal(5, connection.GetProperty("bytesOut").GetInt64());
        Assert.Equal(1, (await world.AdminAsync("/listeners")).GetProperty("listeners")[0].GetProperty("connections").GetInt32());
        Assert.Equal(1, (await world.AdminAsync("/stats")).GetProperty("connections").GetInt32());

        var metrics = await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/metrics"));
        Assert.Contains("signet_proxy_handshakes_total{", metrics, StringComparison.Ordinal);
        foreach (var page in new[] { "/certs", "/config", "/connections", "/listeners", "/stats", "/metrics", "/ready", "/live" })
        {
            var text = await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}{page}"));
            Assert.DoesNotContain("PRIVATE KEY", text, StringComparison.Ordinal);
            Assert.DoesNotContain(Convert.ToBase64String(world.Identity.Current.Default.ExportKeyPkcs8())[20..60], text, StringComparison.Ordinal);
        }
    }
}
