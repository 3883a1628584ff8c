using Signet.Proxy.Tls;
using Signet.Proxy.Upstreams;
using Signet.UnitTests.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.Upstreams;

public sealed class TowardTests
{
    [Fact]
    public void A_server_outside_the_mesh_is_offered_the_names_of_the_web_and_never_a_tunnel()
    {
        var server = new Toward.Server(null!, "api.example.com", []);

        Assert.Equal(["h2", "http/1.1"], server.Alpn(UpstreamUse.Http2, mayTunnel: true));
        Assert.Equal(["http/1.1"], server.Alpn(UpstreamUse.Http1, mayTunnel: true));
        Assert.Empty(server.Alpn(UpstreamUse.Tcp, mayTunnel: true));
    }

    [Theory]
    [InlineData("h2", true, true)]
    [InlineData("http/1.1", false, false)]
    [InlineData("istio", false, true)]
    [InlineData(null, false, true)]
    public void A_server_of_the_web_speaks_HTTP_2_if_it_says_so_and_a_workload_unless_it_says_otherwise(string? alpn, bool server, bool workload)
    {
        var peer = Records.PeerOf("/ns/default/sa/orders");

        Assert.Equal(server, Toward.SpeaksHttp2(new TlsSession(null!, peer with { Id = null, Host = "api.example.com" }, "TLSv1.3", "", alpn, false)));
        Assert.Equal(workload, Toward.SpeaksHttp2(new TlsSession(null!, peer, "TLSv1.3", "", alpn, false)));
    }
}
