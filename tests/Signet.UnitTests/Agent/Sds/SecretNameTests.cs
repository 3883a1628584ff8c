using Signet.Agent.Sds;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Agent.Sds;

public sealed class SecretNameTests
{
    [Fact]
    public void Every_name_that_proxies_use_is_understood()
    {
        Assert.Equal(new SecretName.Default(), SecretName.Of("default"));
        Assert.Equal(new SecretName.RootCa(), SecretName.Of("ROOTCA"));
        Assert.Equal(new SecretName.All(), SecretName.Of("ALL"));
        Assert.Equal(new SecretName.Identity(SpiffeId.Parse("spiffe://example.org/web")), SecretName.Of("spiffe://example.org/web"));
        Assert.Equal(new SecretName.Bundle(TrustDomain.Parse("example.org")), SecretName.Of("spiffe://example.org"));
        Assert.Equal(new SecretName.Bundle(TrustDomain.Parse("example.org")), SecretName.Of("example.org"));
        Assert.Equal(new SecretName.FileCertificate("/a/cert.pem", "/a/key.pem"), SecretName.Of("file-cert:/a/cert.pem~/a/key.pem"));
        Assert.Equal(new SecretName.FileRoots("/a/root.pem"), SecretName.Of("file-root:/a/root.pem"));
        Assert.Equal(new SecretName.FileRoots(null), SecretName.Of("file-root:system"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("DEFAULT")]
    [InlineData("file-cert:/only-one")]
    [InlineData("file-cert:/a~/b~/c")]
    [InlineData("file-cert:a~b")]
    [InlineData("file-root:relative")]
    [InlineData("file-root:")]
    [InlineData("spiffe://Example.org/web")]
    [InlineData("spiffe://example.org/web/")]
    [InlineData("https://example.org/web")]
    public void Everything_else_is_refused_for_itself(string name) => Assert.IsType<SecretName.Unknown>(SecretName.Of(name));

    [Fact]
    public void Paths_of_files_are_shown_to_nobody()
    {
        Assert.Equal("file-cert:", SdsClient.Shown("file-cert:/home/ann/cert.pem~/home/ann/key.pem"));
        Assert.Equal("file-root:", SdsClient.Shown("file-root:/home/ann/root.pem"));
        Assert.Equal("spiffe://example.org/web", SdsClient.Shown("spiffe://example.org/web"));
        Assert.DoesNotContain('\u001b', SdsClient.Shown("\u001b[31m"));
    }
}
