using Signet.Policy;
using Signet.Proxy;
using Signet.Proxy.Authorization;
using Signet.Proxy.Config;
using Signet.Proxy.Sniffing;
using Signet.Proxy.Tls;

namespace Signet.UnitTests.Proxy.Authorization;

public sealed class AdmissionTests
{
    private static readonly TlsSniff Plain = TlsSniff.NotTls.Instance;
    private static readonly TlsSniff Silent = TlsSniff.NeedMore.Instance;
    private static readonly TlsSniff Broken = new TlsSniff.Malformed("x");
    private static readonly TlsSniff Mesh = new TlsSniff.ClientHello("outbound_.1_._.a", ["istio-http/1.1", "istio", "http/1.1"]);
    private static readonly TlsSniff Foreign = new TlsSniff.ClientHello("a", ["h2", "http/1.1"]);

    [Theory]
    [InlineData(AppProtocol.Auto)]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Tcp)]
    public void Strict_terminates_all_TLS_and_takes_nothing_else(AppProtocol protocol)
    {
        Assert.IsType<Admission.Terminate>(Admission.Decide(MtlsMode.Strict, Mesh, protocol));
        Assert.IsType<Admission.Terminate>(Admission.Decide(MtlsMode.Strict, Foreign, protocol));
        Assert.Equal(RefusalReason.PlaintextRefused, Refused(Admission.Decide(MtlsMode.Strict, Plain, protocol)));
        Assert.Equal(RefusalReason.DetectionTimeout, Refused(Admission.Decide(MtlsMode.Strict, Silent, protocol)));
        Assert.Equal(RefusalReason.MalformedClientHello, Refused(Admission.Decide(MtlsMode.Strict, Broken, protocol)));
    }

    [Theory]
    [InlineData(AppProtocol.Auto)]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Tcp)]
    public void Permissive_terminates_the_meshs_TLS_and_takes_plaintext_as_anonymous(AppProtocol protocol)
    {
        Assert.IsType<Admission.Terminate>(Admission.Decide(MtlsMode.Permissive, Mesh, protocol));
        Assert.True(Assert.IsType<Admission.Anonymous>(Admission.Decide(MtlsMode.Permissive, Plain, protocol)).MayBeHttp);
        Assert.Equal(RefusalReason.MalformedClientHello, Refused(Admission.Decide(MtlsMode.Permissive, Broken, protocol)));
    }

    [Theory]
    [InlineData(AppProtocol.Auto)]
    [InlineData(AppProtocol.Tcp)]
    public void Permissive_lets_the_applications_own_TLS_through_untouched(AppProtocol protocol)
    {
        var anonymous = Assert.IsType<Admission.Anonymous>(Admission.Decide(MtlsMode.Permissive, Foreign, protocol));

        Assert.False(anonymous.MayBeHttp);
        Assert.Equal("a", anonymous.Sni);
    }

    [Fact]
    public void Permissive_terminates_all_TLS_before_an_application_that_is_declared_to_speak_HTTP() =>
        Assert.IsType<Admission.Terminate>(Admission.Decide(MtlsMode.Permissive, Foreign, AppProtocol.Http));

    [Fact]
    public void Permissive_takes_silence_for_a_client_that_waits_only_where_the_server_may_speak_first()
    {
        Assert.False(Assert.IsType<Admission.Anonymous>(Admission.Decide(MtlsMode.Permissive, Silent, AppProtocol.Tcp)).MayBeHttp);
        Assert.False(Assert.IsType<Admission.Anonymous>(Admission.Decide(MtlsMode.Permissive, Silent, AppProtocol.Auto)).MayBeHttp);
        Assert.Equal(RefusalReason.DetectionTimeout, Refused(Admission.Decide(MtlsMode.Permissive, Silent, AppProtocol.Http)));
    }

    [Theory]
    [InlineData(AppProtocol.Auto)]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Tcp)]
    public void Disable_terminates_nothing(AppProtocol protocol)
    {
        foreach (var sniff in new[] { Plain, Silent, Broken, Mesh, Foreign })
        {
            Assert.IsType<Admission.Anonymous>(Admission.Decide(MtlsMode.Disable, sniff, protocol));
        }

        Assert.False(Assert.IsType<Admission.Anonymous>(Admission.Decide(MtlsMode.Disable, Mesh, protocol)).MayBeHttp);
    }

    [Theory]
    [InlineData("istio", true)]
    [InlineData("istio-peer-exchange", true)]
    [InlineData("istio-http/1.0", true)]
    [InlineData("istio-http/1.1", true)]
    [InlineData("istio-h2", true)]
    [InlineData("h2", false)]
    [InlineData("http/1.1", false)]
    [InlineData("ISTIO", false)]
    [InlineData("istio2", false)]
    public void Only_the_meshs_own_protocol_names_are_meant_for_the_proxy(string name, bool expected) => Assert.Equal(expected, MeshAlpn.IsForProxy(["x", name]));

    [Fact]
    public void A_server_selects_a_name_that_was_offered_or_none()
    {
        Assert.Equal("http/1.1", MeshAlpn.Select(MeshAlpn.OfferHttp, forHttp: true, mayTunnel: true));
        Assert.Equal("istio", MeshAlpn.Select(MeshAlpn.OfferTcp, forHttp: false, mayTunnel: true));
        Assert.Equal("signet-tunnel", MeshAlpn.Select([MeshAlpn.Tunnel, .. MeshAlpn.OfferHttp], forHttp: true, mayTunnel: true));
        Assert.Equal("http/1.1", MeshAlpn.Select([MeshAlpn.Tunnel, .. MeshAlpn.OfferHttp], forHttp: true, mayTunnel: false));
        Assert.Equal("istio", MeshAlpn.Select(["istio-peer-exchange", "istio"], forHttp: false, mayTunnel: true));
        Assert.Null(MeshAlpn.Select(["istio-peer-exchange"], forHttp: false, mayTunnel: true));
        Assert.Equal("h2", MeshAlpn.Select(MeshAlpn.OfferHttp2, forHttp: true, mayTunnel: true));
        Assert.Equal("http/1.1", MeshAlpn.Select(["spdy/3", "http/1.1"], forHttp: true, mayTunnel: true));
        Assert.Null(MeshAlpn.Select(["h2"], forHttp: false, mayTunnel: true));
    }

    private static RefusalReason Refused(Admission admission) => Assert.IsType<Admission.Refuse>(admission).Reason;
}
