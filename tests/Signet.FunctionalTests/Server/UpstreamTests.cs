using System.CommandLine;
using Grpc.Core;
using Signet.Cli;
using Signet.Cli.Clients;
using Signet.Cli.Commands.Ca;
using Signet.Client;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Spire.Server.LocalAuthority;
using Signet.Server.Upstream;
using Signet.Testing;
using Stage = Signet.Rpc.Wire.Authority.RotationStatus.Types.Stage;

namespace Signet.FunctionalTests.Server;

/// <summary>An anchor whose key the server never sees, from its ceremony to workloads.</summary>
public sealed class UpstreamTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(UpstreamLayout.Linkerd)]
    [InlineData(UpstreamLayout.Istio)]
    public async Task What_an_offline_anchor_signed_is_taken_over_hot_and_a_new_anchor_by_a_rotation(UpstreamLayout layout)
    {
        var root = await InitAsync("root");
        await PlaceAsync(await SignAsync("first", root), layout, root);
        await using var domain = await TestTrustDomain.StartAsync(
            configure: config => config with { Upstream = new UpstreamConfig.Folder(_folder.File("issuer"), layout) { RevocationList = _folder.File("issuer/anchor.crl") }, Authority = config.Authority with { IsExternal = true, AnchorSettling = TimeSpan.FromSeconds(1) } });
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var first = await source.WaitAsync(_patience);
        Assert.Equal(await ReadAsync("root/anchor.crt"), Own(source).Authorities);
        Assert.Empty(Directory.EnumerateFiles(_folder.File("issuer"), "anchor.key"));

        // A set that does not hold: the last good one goes on signing.
        await File.WriteAllTextAsync(_folder.File(layout == UpstreamLayout.Linkerd ? "issuer/issuer.crt" : "issuer/ca-cert.pem"), "-----BEGIN CERTIFICATE-----", _patience);
        await domain.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => source.Current!.Svids.Count == 2, "an SVID signed meanwhile");
        Assert.Equal(first.Default.Issuer, source.Current!.Svids[1].Issuer);

        // A new one below the same anchor signs at once, what was signed before holds on.
        await PlaceAsync(await SignAsync("second", root), layout, root);
        using var operators = domain.Admin();
        var client = operators.Authorities;
        await Eventually.IsTrueAsync(async () => (await client.ListAsync(_patience)).Count(authority => authority.Tier == "issuing") == 2, "the second issuing authority");
        await domain.RegisterAsync("/third");
        await Eventually.IsTrueAsync(() => source.Current!.Svids.Count == 3, "an SVID of the new one");
        Assert.NotEqual(first.Default.Issuer, source.Current!.Svids[2].Issuer);
        Assert.Equal(first.Default.Leaf, source.Current.Svids[0].Leaf);

        // From below it is neither tainted nor revoked, and the refusal says where that is done.
        using var channel = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        var local = new LocalAuthority.LocalAuthorityClient(channel);
        var anchorKey = Convert.ToHexStringLower(first.Default.Issuer!.AuthorityKeyId.Span);
        foreach (var (id, code, reason) in new[] { (anchorKey, StatusCode.FailedPrecondition, "upstream.folder"), ("00ff", StatusCode.NotFound, anchorKey), ("", StatusCode.InvalidArgument, "missing") })
        {
            RpcException[] refused =
            [
                await Assert.ThrowsAsync<RpcException>(async () => await local.TaintX509UpstreamAuthorityAsync(new TaintX509UpstreamAuthorityRequest { SubjectKeyId = id }, cancellationToken: _patience)),
                await Assert.ThrowsAsync<RpcException>(async () => await local.RevokeX509UpstreamAuthorityAsync(new RevokeX509UpstreamAuthorityRequest { SubjectKeyId = id }, cancellationToken: _patience)),
            ];
            Assert.All(refused, one => Assert.Equal(code, one.StatusCode));
            Assert.All(refused, one => Assert.Contains(reason, one.Status.Detail, StringComparison.Ordinal));
        }

        // The first is revoked by its anchor, offline; what it signed is accepted nowhere any more, and is replaced.
        var old = source.Current.Default;
        var crl = _folder.File($"anchor-{layout}.crl");
        await RunAsync(0, "revoke", "--certificate", _folder.File("first/issuer.crt"), "--anchor", root, "--out", crl, "--passphrase", _folder.File("passphrase"));
        File.Copy(crl, _folder.File("issuer/anchor.crl"));
        await Eventually.IsTrueAsync(() => !source.Current!.Bundles.Crls.IsEmpty, "the anchor's list at the workload");
        Assert.False(SvidVerifier.Verify(old.Chain, source.Current!.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow).IsTrusted);
        Assert.Contains(await client.ListAsync(_patience), authority => authority.State == "revoked");

        // A new anchor: published, waited for, signed with, and the old one dropped.
        var next = await InitAsync("next");
        await PlaceAsync(await SignAsync("third", next), layout, root, next);
        await Eventually.IsTrueAsync(() => Own(source).Authorities.Count == 2, "both anchors");
        while ((await client.StatusAsync(_patience)).Stage != Stage.Done)
        {
            await Task.Delay(100, _patience);
        }

        await Eventually.IsTrueAsync(() => Own(source).Authorities.Count == 1, "the new anchor alone");
        Assert.Equal(await ReadAsync("next/anchor.crt"), Own(source).Authorities);
        Assert.All(source.Current!.Svids, svid => Assert.True(SvidVerifier.Verify(svid.Chain, source.Current.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow).IsTrusted));
    }

    [Fact]
    public async Task The_ceremony_overwrites_nothing_and_a_protected_key_needs_its_passphrase()
    {
        var root = await InitAsync("root");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.File("root/anchor.key")));
        Assert.Contains("ENCRYPTED", await File.ReadAllTextAsync(_folder.File("root/anchor.key"), _patience), StringComparison.Ordinal);
        Assert.Contains("exists already", (await RunAsync(1, "init", "--trust-domain", "example.org", "--out", root)).Output, StringComparison.Ordinal);
        await RunAsync(0, "request", "--trust-domain", "example.org", "--out", _folder.File("request"));
        string[] sign = ["sign", "--csr", _folder.File("request/issuer.csr"), "--anchor", root, "--out", _folder.File("request")];
        Assert.Contains("--passphrase", (await RunAsync(1, sign)).Output, StringComparison.Ordinal);
        await RunAsync(0, [.. sign, "--passphrase", _folder.File("passphrase")]);
        Assert.Contains("spiffe://example.org", (await RunAsync(0, "inspect", _folder.File("request/issuer.crt"))).Output, StringComparison.Ordinal);
    }

    private async Task<string> InitAsync(string name)
    {
        await File.WriteAllTextAsync(_folder.File("passphrase"), "correct horse battery staple\n", _patience);
        await RunAsync(0, "init", "--trust-domain", "example.org", "--out", _folder.File(name), "--passphrase", _folder.File("passphrase"));
        return _folder.File(name);
    }

    private async Task<string> SignAsync(string name, string root)
    {
        var place = _folder.File(name);
        await RunAsync(0, "request", "--trust-domain", "example.org", "--out", place);
        await RunAsync(0, "sign", "--csr", Path.Combine(place, "issuer.csr"), "--anchor", root, "--out", place, "--passphrase", _folder.File("passphrase"));
        return place;
    }

    private async Task PlaceAsync(string from, UpstreamLayout layout, params string[] anchors)
    {
        Directory.CreateDirectory(_folder.File("issuer"));
        string[] names = layout == UpstreamLayout.Linkerd ? ["issuer.crt", "issuer.key", "ca.crt"] : ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"];
        var certificate = await File.ReadAllTextAsync(Path.Combine(from, "issuer.crt"), _patience);
        string[] texts =
        [
            certificate,
            await File.ReadAllTextAsync(Path.Combine(from, "issuer.key"), _patience),
            string.Concat(anchors.Select(anchor => File.ReadAllText(Path.Combine(anchor, "anchor.crt")))),
            certificate + string.Concat(anchors.TakeLast(1).Select(anchor => File.ReadAllText(Path.Combine(anchor, "anchor.crt")))),
        ];
        foreach (var (name, text) in names.Zip(texts))
        {
            var draft = _folder.File($"issuer/.{name}");
            await File.WriteAllTextAsync(draft, text, _patience);
            File.SetUnixFileMode(draft, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            File.Move(draft, _folder.File($"issuer/{name}"), overwrite: true);
        }
    }

    private async Task<IReadOnlyList<Certificate>> ReadAsync(string file) =>
        Pem.TryReadCertificates(await File.ReadAllTextAsync(_folder.File(file), _patience), out var certificates, out var problem) ? certificates : throw new InvalidOperationException(problem);

    private async Task<(int Exit, string Output)> RunAsync(int expected, params string[] arguments)
    {
        var output = new StringWriter();
        var exit = await CaCommand.Create(new CliContext(TimeProvider.System, () => 0.5)).Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = output }, _patience);
        Assert.True(exit == expected, output.ToString());
        return (exit, output.ToString());
    }

    private static X509Bundle Own(X509Source source) => source.Current!.Bundles.Find(TestTrustDomain.Name)!;
}
