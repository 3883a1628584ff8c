using System.Security.Authentication;
using Signet.Client;
using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Mutual TLS between workloads whose keys are of different kinds.</summary>
public sealed class KeyTypeTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: orders.default.svc.cluster.local:8080\r\n\r\n";
    private readonly TestAuthority _authority = new(DateTimeOffset.UtcNow);

    [Theory]
    [InlineData(KeyType.Ed25519, KeyType.EcP256)]
    [InlineData(KeyType.EcP256, KeyType.Ed25519)]
    [InlineData(KeyType.Ed25519, KeyType.Ed25519)]
    [InlineData(KeyType.Rsa2048, KeyType.EcP384)]
    public async Task Sidecars_know_each_other_whatever_their_keys_are(KeyType client, KeyType server)
    {
        await using var app = App.Http();
        await using var orders = await OrdersAsync(app, server);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], _authority, identity: _authority.Context(_authority.Svid("/ns/default/sa/web", keyType: client)));
        await using var caller = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(200, (await caller.AskAsync(Get)).Status);
        var line = await orders.LoggedAsync(line => line.TryGetProperty("request", out _), "the request");
        Assert.Equal("example.org/ns/default/sa/web", line.GetProperty("source").GetProperty("principal").GetString());
    }

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.Rsa2048)]
    public async Task Sidecars_use_keys_where_a_provider_of_OpenSSL_keeps_them(KeyType keyType)
    {
        using var folder = new TestFolder();
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, authority: _authority, identity: Held("/ns/default/sa/orders"));
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], _authority, identity: Held("/ns/default/sa/web"));
        await using var caller = await Wire.PlainAsync(web.Outbound);

        Assert.Equal(200, (await caller.AskAsync(Get)).Status);
        var line = await orders.LoggedAsync(line => line.TryGetProperty("request", out _), "the request");
        Assert.Equal("example.org/ns/default/sa/web", line.GetProperty("source").GetProperty("principal").GetString());

        X509Context Held(string path)
        {
            var svid = _authority.Svid(path, keyType: keyType);
            var file = folder.File($"{Guid.NewGuid():N}.pem");
            File.WriteAllText(file, Pem.EncodePrivateKey(svid.Key));
            Assert.True(X509Files.TryRead(Pem.Encode(svid.Chain), $"provider:default:file:{file}", _authority.Bundle.ToPem(), out var context, out var problem), problem);
            return context;
        }
    }

    [Fact]
    public async Task An_Ed25519_leaf_of_another_authority_is_a_strangers()
    {
        await using var app = App.Http();
        await using var orders = await OrdersAsync(app, KeyType.EcP256);
        var stranger = new TestAuthority(DateTimeOffset.UtcNow);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], _authority, identity: _authority.Context(stranger.Svid("/ns/default/sa/web", keyType: KeyType.Ed25519)));
        await using var caller = await Wire.PlainAsync(web.Outbound);

        Assert.NotEqual(200, (await caller.AskAsync(Get)).Status);
        await orders.RefusedAsync(RefusalReason.PeerAuthorityUnknown);
        Assert.Equal(0, app.Count);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task SslStream_believes_a_peer_with_an_Ed25519_leaf_though_it_could_not_present_one(SslProtocols version)
    {
        await using var app = App.Http();
        await using var orders = await OrdersAsync(app, KeyType.Ed25519);
        await using var client = await Wire.TlsAsync(orders.Inbound, _authority.Svid("/ns/default/sa/web"), ["istio-http/1.1", "istio", "http/1.1"], version);

        Assert.Equal(200, (await client.AskAsync(Get)).Status);
        Assert.True(Certificate.TryParse(client.Tls.RemoteCertificate!.GetRawCertData(), out var leaf, out _));
        Assert.Equal("Ed25519", leaf.KeyDescription);
    }

    private Task<ProxyWorld> OrdersAsync(App app, KeyType keyType) =>
        ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, authority: _authority, identity: _authority.Context(_authority.Svid("/ns/default/sa/orders", keyType: keyType)));
}
