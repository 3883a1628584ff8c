using System.Security.Cryptography;
using Signet.Authority.Ceremony;
using Signet.Authority.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Upstream;
using Signet.Testing;

namespace Signet.UnitTests.Server.Upstream;

public sealed class IssuerFilesTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");

    private readonly TestFolder _folder = new();
    private readonly AsymmetricAlgorithm _key = KeyPair.Generate(KeyType.EcP256);
    private readonly Certificate _anchor;
    private readonly Certificate _issuing;

    public IssuerFilesTests()
    {
        using var anchorKey = KeyPair.Generate(KeyType.EcP256);
        _anchor = OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), anchorKey, TimeSpan.FromDays(100), Now);
        Assert.True(SigningRequest.TryParse(SigningRequest.Create(_key), out var request, out _));
        Assert.True(OfflineRoot.TrySign(_anchor, anchorKey, request, new CertificateSubject(), TimeSpan.FromDays(10), Now, out var issuing, out _));
        _issuing = issuing;
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Linkerds_files_are_read()
    {
        Write("issuer.crt", Pem.Encode(_issuing));
        Write("issuer.key", Pem.EncodePrivateKey(_key));
        Write("ca.crt", Pem.Encode(_anchor));
        Assert.Equal(_issuing, Read(UpstreamLayout.Linkerd).Issuer?.Certificate);
    }

    [Fact]
    public void Istios_files_are_read_and_what_its_chain_repeats_counts_once()
    {
        Write("ca-cert.pem", Pem.Encode(_issuing));
        Write("ca-key.pem", Pem.EncodePrivateKey(_key));
        Write("root-cert.pem", Pem.Encode(_anchor));
        Write("cert-chain.pem", Pem.Encode(_issuing, _anchor));
        var (issuer, problem) = Read(UpstreamLayout.Istio);
        Assert.Equal("", problem);
        Assert.Empty(issuer!.Above);
    }

    [Fact]
    public void What_is_wrong_names_its_file()
    {
        Linkerds_files_are_read();
        Write("issuer.key", "nothing");
        Assert.StartsWith(_folder.File("issuer.key"), Read(UpstreamLayout.Linkerd).Problem, StringComparison.Ordinal);
        Write("issuer.key", Pem.EncodePrivateKey(KeyPair.Generate(KeyType.EcP256)));
        Assert.StartsWith(_folder.File("issuer.crt"), Read(UpstreamLayout.Linkerd).Problem, StringComparison.Ordinal);
        Write("ca.crt", "");
        Assert.StartsWith(_folder.File("ca.crt"), Read(UpstreamLayout.Linkerd).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_that_everybody_can_read_is_refused()
    {
        Linkerds_files_are_read();
        File.SetUnixFileMode(_folder.File("issuer.key"), UnixFileMode.UserRead | UnixFileMode.OtherRead);
        Assert.Contains("chmod o=", Read(UpstreamLayout.Linkerd).Problem, StringComparison.Ordinal);
    }

    private void Write(string name, string text)
    {
        File.WriteAllText(_folder.File(name), text);
        File.SetUnixFileMode(_folder.File(name), UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    private (ExternalIssuer? Issuer, string Problem) Read(UpstreamLayout layout) =>
        IssuerFiles.TryRead(IssuerFiles.Of(new UpstreamConfig.Folder(_folder.Path, layout)).Read(), Domain, Now, out var issuer, out var problem) ? (issuer, problem) : (null, problem);
}
