using Signet.Hosting.Configuration;
using Signet.Server.Attestation;
using Signet.Server.ControlPlane;

namespace Signet.UnitTests.Server.ControlPlane;

public sealed class MeshConfigTests
{
    private static readonly Dictionary<string, string> NoEnvironment = [];

    [Fact]
    public void A_folder_and_settings_are_read_and_without_a_folder_nothing_is_distributed()
    {
        Assert.Equal(new MeshConfig("/etc/signet/policy", "/etc/signet/mesh.yaml"), Read("policy: {folder: /etc/signet/policy}\nmesh: {file: /etc/signet/mesh.yaml}"));
        Assert.Equal(new MeshConfig("/etc/signet/policy", null), Read("policy: {folder: /etc/signet/policy}"));
        Assert.Null(Read("x: 1"));
    }

    [Fact]
    public void A_cluster_is_followed_beside_a_folder_or_without_one_by_default_the_servers_own()
    {
        Assert.Equal(new MeshConfig(null, null) { Cluster = K8sClusterConfig.Own }, Read("policy: {kubernetes: {}}"));
        var other = Read("policy: {folder: /p, kubernetes: {server: \"https://10.0.0.1:6443\", caFile: /ca, tokenFile: /token}}");
        Assert.Equal(new MeshConfig("/p", null) { Cluster = K8sClusterConfig.Own with { Server = new Uri("https://10.0.0.1:6443/"), CaFile = "/ca", TokenFile = "/token" } }, other);
    }

    [Theory]
    [InlineData("policy: {}", "policy.folder")]
    [InlineData("policy: {kubernetes: {server: \"http://10.0.0.1\"}}", "https://HOST:PORT")]
    [InlineData("policy: {kubernetes: {tokn: /t}}", "tokn")]
    [InlineData("mesh: {file: /etc/signet/mesh.yaml}", "mesh.file")]
    [InlineData("policy: {folder: /p, foldr: /q}", "foldr")]
    public void A_mistake_is_told(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<ConfigException>(() => Read(text)).Message, StringComparison.Ordinal);

    private static MeshConfig? Read(string text) => ConfigDocument.Read("server.yaml", text, NoEnvironment, root =>
    {
        root.Ignore("x");
        return MeshConfig.Read(root);
    });
}
