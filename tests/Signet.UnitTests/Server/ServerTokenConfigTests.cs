using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.X509;
using Signet.Server;

namespace Signet.UnitTests.Server;

public sealed class ServerTokenConfigTests
{
    [Theory]
    [InlineData("", null, KeyType.EcP256)]
    [InlineData("svid: {jwtAlgorithm: ES512}", "ES512", KeyType.EcP521)]
    [InlineData("svid: {jwtAlgorithm: PS384}", "PS384", KeyType.Rsa2048)]
    [InlineData("svid: {jwtAlgorithm: RS256}\nca: {keyType: rsa-4096}", "RS256", KeyType.Rsa4096)]
    [InlineData("ca: {keyType: ec-p384}", null, KeyType.EcP384)]
    public void Tokens_are_signed_as_the_configuration_says(string text, string? algorithm, KeyType keyType)
    {
        var plan = Read(text).Authority;
        Assert.Equal((algorithm, keyType), (plan.JwtAlgorithm?.Name, plan.JwtKeyType));
    }

    [Fact]
    public void WIT_SVIDs_have_to_be_asked_for()
    {
        Assert.False(Read("").Authority.SignsWit);
        var config = Read("features: [wit]\nsvid: {witTtl: 20m}");
        Assert.True(config.Authority.SignsWit);
        Assert.Equal(TimeSpan.FromMinutes(20), config.WitTtl);
    }

    [Theory]
    [InlineData("svid: {jwtAlgorithm: none}", "\"none\" is not an algorithm of JWT-SVIDs; write one of ES256")]
    [InlineData("svid: {jwtAlgorithm: EdDSA}", "is not an algorithm of JWT-SVIDs")]
    [InlineData("ca: {keyType: ed25519}", "an authority cannot have a key of type ed25519")]
    [InlineData("features: [wits]", "\"wits\" is not a feature; there is wit")]
    public void What_is_wrong_is_said(string text, string problem) =>
        Assert.Contains(Assert.Throws<ConfigException>(() => Read(text)).Problems, found => found.ToString().Contains(problem, StringComparison.Ordinal));

    private static ServerConfig Read(string text) => ConfigDocument.Read(
        "/etc/signet/server.yaml",
        "trustDomain: example.org\n" + text,
        new Dictionary<string, string>(),
        root => ServerConfig.Read(root, Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var wrong) ? places : throw new InvalidOperationException(wrong)));
}
