using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Server;
using Signet.Server.Federation;
using Signet.Testing;

namespace Signet.UnitTests.Server.Federation;

public sealed class FederationConfigTests : IDisposable
{
    private static readonly IReadOnlyDictionary<string, string> NoEnvironment = new Dictionary<string, string>();
    private static readonly Places Places = Places.TryChoose("/tmp/signet", true, null, out var places, out var problem) ? places : throw new InvalidOperationException(problem);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Nothing_is_published_and_nobody_is_trusted_unless_it_is_written()
    {
        var config = Read("trustDomain: example.org");
        Assert.Null(config.Http);
        Assert.Null(config.JwtIssuer);
        Assert.False(config.Federation.ServesBundle);
        Assert.Empty(config.Federation.Relationships);
    }

    [Fact]
    public void F06_A_bundle_endpoint_needs_no_further_word()
    {
        var config = Read("trustDomain: example.org", "federation: {bundleEndpoint: {}}");
        Assert.Equal("0.0.0.0:8443", config.Http!.Listen.ToString());
        Assert.Null(config.Http.Files);
        Assert.True(config.Federation.ServesBundle);
        Assert.Equal(TimeSpan.FromMinutes(5), config.Federation.RefreshHint);
    }

    [Fact]
    public void F08_A_relationship_has_trust_domain_URL_and_profile()
    {
        var authority = new TestAuthority(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero), "other.example");
        File.WriteAllText(_folder.File("other.pem"), authority.Bundle.ToPem());
        var config = Read(
            "trustDomain: example.org",
            "federation:",
            "  trustDomains:",
            "  - {name: other.example, url: \"https://other.example:8443/bundle\", profile: https_spiffe, endpointSpiffeId: spiffe://other.example/spire/server, bootstrap: other.pem}",
            "  - {name: web.example, url: \"https://web.example/bundle\", profile: https_web}");
        Assert.Equal(2, config.Federation.Relationships.Count);
        var (spiffe, bootstrap) = (config.Federation.Relationships[0].Relationship, config.Federation.Relationships[0].Bootstrap);
        Assert.True(spiffe is { IsStatic: true, IsSelfServing: true, Profile: EndpointProfile.HttpsSpiffe { EndpointId.Path: "/spire/server" } });
        Assert.Equal(authority.Anchor, Assert.Single(bootstrap!.X509.Authorities));
        Assert.True(config.Federation.Relationships[1].Relationship is { IsSelfServing: false, Profile: EndpointProfile.HttpsWeb });
    }

    [Fact]
    public void F10_The_profile_https_web_needs_no_further_parameter_and_has_none()
    {
        var one = Assert.Single(Read("trustDomain: example.org", "federation: {trustDomains: [{name: web.example, url: \"https://web.example/\", profile: https_web}]}").Federation.Relationships);
        Assert.Equal((new EndpointProfile.HttpsWeb(), null), (one.Relationship.Profile, one.Bootstrap));
        Assert.Contains(
            Problems("trustDomain: example.org", "federation: {trustDomains: [{name: web.example, url: \"https://web.example/\", profile: https_web, endpointSpiffeId: spiffe://web.example/a}]}"),
            message => message.Contains("has no use with profile https_web", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{name: other.example, url: \"https://other.example/\"}", "profile: is missing")]
    [InlineData("{name: other.example, profile: https_web}", "url: is missing")]
    [InlineData("{url: \"https://other.example/\", profile: https_web}", "name: is missing")]
    [InlineData("{name: other.example, url: \"https://other.example/\", profile: web}", "is not one of https_web, https_spiffe")]
    [InlineData("{name: other.example, url: \"http://other.example/\", profile: https_web}", "not https")]
    [InlineData("{name: other.example, url: \"https://me@other.example/\", profile: https_web}", "user name")]
    [InlineData("{name: other.example, url: \"https://other.example/\", profile: https_spiffe}", "endpointSpiffeId: is missing")]
    [InlineData("{name: other.example, url: \"https://other.example/\", profile: https_web, endpointSpiffeId: spiffe://other.example/a}", "has no use with profile https_web")]
    [InlineData("{name: other.example, url: \"https://other.example/\", profile: https_web, bootstrap: nowhere.pem}", "can't be read")]
    [InlineData("{name: example.org, url: \"https://other.example/\", profile: https_web}", "own trust domain")]
    public void F08_F21_What_is_missing_or_does_not_fit_is_a_problem_and_never_guessed(string relationship, string problem) =>
        Assert.Contains(Problems("trustDomain: example.org", $"federation: {{trustDomains: [{relationship}]}}"), message => message.Contains(problem, StringComparison.Ordinal));

    [Fact]
    public void F17_A_first_bundle_for_an_endpoint_of_another_trust_domain_is_a_problem()
    {
        File.WriteAllText(_folder.File("other.json"), """{"keys": []}""");
        Assert.Contains(
            Problems(
                "trustDomain: example.org",
                "federation: {trustDomains: [{name: other.example, url: \"https://other.example/\", profile: https_spiffe, endpointSpiffeId: spiffe://third.example/a, bootstrap: other.json}]}"),
            message => message.Contains("bootstrap: has no use here", StringComparison.Ordinal));
    }

    [Fact]
    public void A_trust_domain_that_stands_there_twice_is_a_problem() => Assert.Contains(
        Problems(
            "trustDomain: example.org",
            "federation: {trustDomains: [{name: a.example, url: \"https://a.example/\", profile: https_web}, {name: a.example, url: \"https://b.example/\", profile: https_web}]}"),
        message => message.Contains("stands there twice", StringComparison.Ordinal));

    [Theory]
    [InlineData("federation: {bundleEndpoint: {profile: https_web}}", "https_web needs a certificate")]
    [InlineData("federation: {bundleEndpoint: {profile: https_spiffe}}\nhttp: {certificate: a.pem, key: b.pem}", "leave out http.certificate")]
    [InlineData("http: {certificate: a.pem}", "key: is missing")]
    [InlineData("http: {key: a.pem}", "certificate: is missing")]
    [InlineData("federation: {bundleEndpoint: {refreshHint: 10s}}", "shorter than the shortest")]
    [InlineData("svid: {jwtIssuer: \"http://oidc.example.org\"}", "is not an issuer")]
    [InlineData("svid: {jwtIssuer: \"https://oidc.example.org/?a=1\"}", "is not an issuer")]
    public void What_an_endpoint_cannot_present_is_a_problem(string yaml, string problem) =>
        Assert.Contains(Problems("trustDomain: example.org", yaml), message => message.Contains(problem, StringComparison.Ordinal));

    private ServerConfig Read(params string[] lines) => ConfigDocument.Read(_folder.File("server.yaml"), string.Join('\n', lines), NoEnvironment, root => ServerConfig.Read(root, Places));

    private IEnumerable<string> Problems(params string[] lines) => Assert.Throws<ConfigException>(() => Read(lines)).Problems.Select(problem => problem.ToString());
}
