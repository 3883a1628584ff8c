using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.UnitTests.Policy;

/// <summary>The files that people write for the commands.</summary>
public sealed class InputFileTests
{
    [Fact]
    public void A_request_is_read_whole()
    {
        var request = Ask.Request("""
            name: n, destination: {namespace: a, labels: {app: b}, port: 8080, protocol: http, ip: 10.0.0.9}, source: {principal: td.org/x, ip: 10.0.0.7, remoteIp: 1.2.3.4},
            tls: {sni: s}, request: {method: POST, host: "h:1", path: "/p?x=1", headers: {x-a: b, x-list: [one, two], x-empty: }}, jwt: {iss: i, sub: s, aud: [u], azp: z, claims: {n: {m: [a, 1]}, t: true}}
            """);
        var facts = request.Facts;
        Assert.Equal(("n", "a", "b"), (request.Name, request.Destination.Namespace, request.Destination.Labels["app"]));
        Assert.Equal((8080, Protocol.Http, "td.org/x", true, "s"), (facts.DestinationPort, facts.Protocol, facts.Peer?.Principal, facts.MutualTls, facts.Sni));
        Assert.Equal(("10.0.0.7", "1.2.3.4", "10.0.0.9"), (facts.SourceIp?.ToString(), facts.RemoteIp?.ToString(), facts.DestinationIp?.ToString()));
        Assert.Equal(("POST", "h:1", "/p?x=1"), (facts.Method, facts.Host, facts.Path));
        Assert.Equal([new("x-a", "b"), new("x-list", "one"), new("x-list", "two"), new("x-empty", "")], facts.Headers);
        Assert.Equal(("i", "s"), (facts.Jwt?.Issuer, facts.Jwt?.Subject));
        Assert.Equal(["a"], Assert.IsType<ClaimValue.List>(Assert.IsType<ClaimValue.Map>(facts.Jwt!.Claims.Members["n"]).Members["m"]).Values);
        Assert.IsType<ClaimValue.Other>(facts.Jwt.Claims.Members["t"]);
    }

    [Fact]
    public void Without_a_principal_there_is_no_mutual_TLS_and_without_a_request_no_HTTP()
    {
        var facts = Ask.Request("").Facts;
        Assert.Equal((false, null, Protocol.Tcp), (facts.MutualTls, facts.Peer, facts.Protocol));
    }

    [Theory]
    [InlineData("source: {principal: \"UPPER/x\"}")]
    [InlineData("source: {ip: nowhere}")]
    [InlineData("destination: {port: 70000}")]
    [InlineData("destination: {protocol: udp}")]
    [InlineData("reqest: {}")]
    [InlineData("request: {headers: [a]}")]
    [InlineData("custom: {p: maybe}")]
    [InlineData("tls: {mutual: perhaps}")]
    public void A_mistake_in_a_request_is_an_error(string written) => Assert.False(RequestFile.Read(new PolicyText("r", "[{" + written + "}]")).TryGet(out _));

    [Theory]
    [InlineData("")]
    [InlineData("a: b")]
    [InlineData("[]\n---\n[]")]
    [InlineData("[")]
    public void A_file_that_is_no_list_is_an_error(string text) => Assert.False(RequestFile.Read(new PolicyText("r", text)).TryGet(out _));

    [Fact]
    public void Mesh_settings_are_fields_of_MeshConfig()
    {
        var mesh = MeshFile.Read(new PolicyText("m", """
            rootNamespace: root
            trustDomain: td
            trustDomainAliases: [old]
            pathNormalization: {normalization: MERGE_SLASHES}
            enableAutoMtls: false
            accessLogFile: /dev/stdout
            extensionProviders:
            - name: grpc
              envoyExtAuthzGrpc: {service: a.b.svc.cluster.local, port: 9000, failOpen: true}
            - name: http
              envoyExtAuthzHttp: {service: a, port: 80}
            - name: bare
            - name: tracing
              zipkin: {service: z, port: 1}
            """)).Value!;
        Assert.Equal(("root", "td", PathNormalization.MergeSlashes, false), (mesh.RootNamespace, mesh.TrustDomain, mesh.PathNormalization, mesh.EnableAutoMtls));
        Assert.Equal(["td", "old"], mesh.TrustDomains);
        Assert.Equal([("grpc", true), ("http", false), ("bare", false)], mesh.ExtensionProviders.Select(provider => (provider.Name, provider.FailOpen)));
    }

    [Theory]
    [InlineData("NONE", PathNormalization.None)]
    [InlineData("BASE", PathNormalization.Base)]
    [InlineData("DEFAULT", PathNormalization.Base)]
    [InlineData("MERGE_SLASHES", PathNormalization.MergeSlashes)]
    [InlineData("DECODE_AND_MERGE_SLASHES", PathNormalization.DecodeAndMergeSlashes)]
    public void Path_normalisation_may_be_a_bare_word(string word, PathNormalization level) =>
        Assert.Equal(level, MeshFile.Read(new PolicyText("m", "pathNormalization: " + word)).Value!.PathNormalization);

    [Fact]
    public void Mesh_settings_have_safe_defaults()
    {
        var mesh = MeshFile.Read(new PolicyText("m", "{}")).Value!;
        Assert.Equal(("istio-system", "cluster.local", PathNormalization.Base, true), (mesh.RootNamespace, mesh.TrustDomain, mesh.PathNormalization, mesh.EnableAutoMtls));
    }

    [Theory]
    [InlineData("trustDomainAlias: [a]", "did you mean trustDomainAliases?")]
    [InlineData("pathNormalization: ALL", null)]
    [InlineData("enableAutoMtls: maybe", null)]
    [InlineData("extensionProviders: [{}]", null)]
    public void A_slip_in_mesh_settings_is_an_error(string text, string? hint)
    {
        var input = MeshFile.Read(new PolicyText("m", text));
        Assert.False(input.TryGet(out _));
        Assert.Equal(hint, input.Problems[0].Hint);
    }
}
