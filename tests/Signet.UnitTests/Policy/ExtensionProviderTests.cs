using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.UnitTests.Policy;

/// <summary>External authorisers in mesh settings.</summary>
public sealed class ExtensionProviderTests
{
    private static Input<MeshSettings> Read(string provider) => MeshFile.Read(new PolicyText("m", $"extensionProviders: [{provider}]"));

    [Fact]
    public void A_gRPC_provider_has_the_defaults_that_Istio_documents()
    {
        Assert.True(Read("{name: a, envoyExtAuthzGrpc: {service: ns/Authz.NS.svc.cluster.local, port: 9000}}").TryGet(out var mesh));

        var provider = Assert.Single(mesh.ExtensionProviders);
        var authoriser = provider.Authoriser!;
        Assert.Equal(("a", false), (provider.Name, provider.FailOpen));
        Assert.Equal((AuthoriserProtocol.Grpc, "authz.ns.svc.cluster.local", 9000), (authoriser.Protocol, authoriser.Host, authoriser.Port));
        Assert.Equal((TimeSpan.FromMinutes(10), 403, ""), (authoriser.Timeout, authoriser.StatusOnError, authoriser.PathPrefix));
    }

    [Fact]
    public void An_HTTP_provider_is_read_whole()
    {
        Assert.True(Read("""
            {name: a, envoyExtAuthzHttp: {service: a, port: 80, timeout: 0.25s, failOpen: true, statusOnError: "503", pathPrefix: /check/, includeHeadersInCheck: [x-old],
             includeRequestHeadersInCheck: ["x-*"], includeAdditionalHeadersInCheck: {x-a: b}, headersToUpstreamOnAllow: ["*-user"], headersToDownstreamOnAllow: [x-d], headersToDownstreamOnDeny: [x-n]}}
            """).TryGet(out var mesh));

        var authoriser = mesh.ExtensionProviders[0].Authoriser!;
        Assert.True(mesh.ExtensionProviders[0].FailOpen);
        Assert.Equal((TimeSpan.FromMilliseconds(250), 503, "/check"), (authoriser.Timeout, authoriser.StatusOnError, authoriser.PathPrefix));
        Assert.True(authoriser.SentToIt.Contain("X-Any") && authoriser.SentToIt.Contain("x-old") && authoriser.ToUpstreamOnAllow.Contain("X-USER"));
        Assert.False(authoriser.SentToIt.Contain("y") || authoriser.ToUpstreamOnAllow.Contain("user-x") || authoriser.ToDownstreamOnDeny!.Contain("x-d"));
        Assert.Equal("b", authoriser.AlwaysSentToIt["x-a"]);
    }

    [Theory]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a, port: 1, includeRequestBodyInCheck: {maxRequestBytes: 1}}}", "not supported")]
    [InlineData("{name: a, envoyExtAuthzHttp: {service: a, port: 1, clearRouteCache: true}}", "not supported")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a, port: 1, pathPrefix: /x}}", "not a known field")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a}}", "port is missing")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: \"a b\", port: 1}}", "a host name was expected")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {port: 1}}", "a host name was expected")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a, port: 70000}}", "from 1 to 65535")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a, port: 1, timeout: 1h}}", "seconds like")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a, port: 1, timeout: 0s}}", "seconds like")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a, port: 1, statusOnError: 200}}", "from 400 to 599")]
    [InlineData("{name: a, envoyExtAuthzGrpc: {service: a, port: 1, failOpen: sometimes}}", "true or false")]
    [InlineData("{name: a, envoyExtAuthzHttp: {service: a, port: 1, pathPrefix: \"x y\"}}", "a path was expected")]
    [InlineData("{name: a, envoyExtAuthzHttp: {service: a, port: 1, includeRequestHeadersInCheck: [\"*\"]}}", "a header's name")]
    [InlineData("{name: a, envoyExtAuthzHttp: {service: a, port: 1, headersToUpstreamOnAllow: [\"a b\"]}}", "a header's name")]
    [InlineData("{name: a, envoyExtAuthzHttp: {service: a, port: 1, includeAdditionalHeadersInCheck: {x: \"a\\nb\"}}}", "can't be a header field")]
    [InlineData("{name: a, envoyExtAuthzHttp: {service: a, port: 1}, envoyExtAuthzGrpc: {service: a, port: 1}}", "is both")]
    [InlineData("{name: a, envoyExtAuthz: {service: a, port: 1}}", "not a known field")]
    [InlineData("{name: a}, {name: a}", "which another one has")]
    [InlineData("{envoyExtAuthzHttp: {service: a, port: 1}}", "has no name")]
    public void A_mistake_is_an_error_that_names_it(string provider, string problem)
    {
        var input = Read(provider);

        Assert.False(input.TryGet(out _));
        Assert.Contains(input.Problems, one => one.Severity == PolicySeverity.Error && one.Message.Contains(problem, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("outputPayloadToHeader: host", false)]
    [InlineData("outputPayloadToHeader: \"x\\r\\ny\"", false)]
    [InlineData("outputPayloadToHeader: X_Forwarded_Client_Cert", false)]
    [InlineData("outputClaimToHeaders: [{header: content-length, claim: sub}]", false)]
    [InlineData("outputPayloadToHeader: x-payload", true)]
    [InlineData("outputClaimToHeaders: [{header: x-jwt-sub, claim: sub}]", true)]
    public void A_token_fills_no_header_that_frames_a_message_or_names_a_peer(string rule, bool good)
    {
        var load = PolicySet.Load(
            [new PolicyText("r", "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: n, namespace: a}\nspec: {jwtRules: [{issuer: i, " + rule + "}]}")], MeshSettings.Default);

        Assert.Equal(good, !load.Problems.Any(problem => problem.Severity == PolicySeverity.Error));
    }
}
