using Signet.Agent.Mesh;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Agent.Mesh;

public sealed class McpConfigTests
{
    private static readonly Dictionary<string, string> NoEnvironment = [];

    [Theory]
    [InlineData("x: 1", null)]
    [InlineData("mcp: {}", " spiffe://example.org/spire/server False False")]
    [InlineData("mcp: {server: \"10.0.0.1:15010\", spiffeId: spiffe://example.org/mcp, protocol: xds}", "10.0.0.1:15010 spiffe://example.org/mcp True False")]
    [InlineData("mcp: {server: \"mcp.example.org:1\", policies: true}", "mcp.example.org:1 spiffe://example.org/spire/server False True")]
    public void Everything_has_a_default_and_without_the_section_there_is_no_source(string text, string? expected)
    {
        var config = Read(text);
        Assert.Equal(expected, config is null ? null : $"{(config.Server is { } server ? $"{server.Host}:{server.Port}" : "")} {config.Id} {config.OverXds} {config.Policies}");
    }

    [Theory]
    [InlineData("mcp: {protocol: http}", "mcp.protocol")]
    [InlineData("mcp: {spiffeId: mcp}", "mcp.spiffeId")]
    [InlineData("mcp: {server: nowhere}", "mcp.server")]
    [InlineData("mcp: {protocol: xds, policies: true}", "protocol mcp only")]
    public void A_mistake_is_told(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<ConfigException>(() => Read(text)).Message, StringComparison.Ordinal);

    private static McpConfig? Read(string text) => ConfigDocument.Read("agent.yaml", text, NoEnvironment, root =>
    {
        root.Ignore("x");
        return McpConfig.Read(root.Section("mcp"), TrustDomain.Parse("example.org"));
    });
}
