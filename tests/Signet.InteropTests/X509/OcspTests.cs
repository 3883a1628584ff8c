using System.Net;
using System.Net.Sockets;
using Signet.Client;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Server.Http;
using Signet.Testing;

namespace Signet.InteropTests.X509;

/// <summary>What the server says of certificates, asked, checked and stapled by openssl.</summary>
public sealed class OcspTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Openssl_believes_answers_and_staples_and_sees_a_revocation_with_its_reason()
    {
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Ocsp = new OcspConfig(new IPEndPoint(IPAddress.Loopback, 0)) });
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var context = await source.WaitAsync(_patience);
        var svid = context.Default;
        await WriteAsync("leaf.pem", Pem.Encode(svid.Leaf));
        await WriteAsync("key.pem", Pem.EncodePrivateKey(svid.Key));
        await WriteAsync("issuing.pem", Pem.Encode(svid.Issuer!));
        await WriteAsync("anchor.pem", context.Bundles.Find(TestTrustDomain.Name)!.ToPem());

        // 1. Asked, with the hash that everybody uses and with the newer one, with a nonce and without.
        foreach (var options in new string[][] { [], ["-no_nonce"], ["-sha256"] })
        {
            var (isDone, output) = await AskAsync(domain, options);
            Assert.True(isDone, output);
            Assert.Contains("Response verify OK", output, StringComparison.Ordinal);
            Assert.Contains("leaf.pem: good", output, StringComparison.Ordinal);
        }

        // 2. Stapled, as a proxy would.
        using var channel = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        await Eventually.IsTrueAsync(
            async () =>
            {
                var answer = await new SecretDiscoveryService.SecretDiscoveryServiceClient(channel)
                    .FetchSecretsAsync(new DiscoveryRequest { ResourceNames = { "default" }, TypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret" }, cancellationToken: _patience);
                if (answer.Resources[0].Unpack<Secret>().TlsCertificate.OcspStaple is not { } staple)
                {
                    return false;
                }

                await File.WriteAllBytesAsync(_folder.File("staple.der"), staple.InlineBytes.ToByteArray(), _patience);
                return true;
            },
            "the staple");
        var port = FreePort();
        var serving = OpenSsl.RunAsync(
            "s_server", "-accept", $"127.0.0.1:{port}", "-naccept", "1", "-cert", _folder.File("leaf.pem"), "-key", _folder.File("key.pem"), "-cert_chain", _folder.File("issuing.pem"), "-status_file", _folder.File("staple.der"), "-www");
        await Eventually.IsTrueAsync(() => IsOpen(port), "openssl s_server");
        var (_, seen) = await OpenSsl.RunAsync("s_client", "-connect", $"127.0.0.1:{port}", "-status", "-CAfile", _folder.File("anchor.pem"), "-verify_return_error");
        Assert.Contains("OCSP Response Status: successful", seen, StringComparison.Ordinal);
        Assert.Contains("Cert Status: good", seen, StringComparison.Ordinal);
        Assert.Contains("Verify return code: 0 (ok)", seen, StringComparison.Ordinal);
        await serving;

        // 3. Revoked.
        using var operators = domain.Admin();
        await operators.Authorities.RevokeCertificatesAsync(svid.Leaf.SerialHex, null, "keyCompromise", _patience);
        var (_, revoked) = await AskAsync(domain, []);
        Assert.Contains("Response verify OK", revoked, StringComparison.Ordinal);
        Assert.Contains("leaf.pem: revoked", revoked, StringComparison.Ordinal);
        Assert.Contains("Reason: keyCompromise", revoked, StringComparison.Ordinal);
    }

    private Task<(bool IsDone, string Output)> AskAsync(TestTrustDomain domain, string[] options) => OpenSsl.RunAsync(
        ["ocsp", .. options, "-issuer", _folder.File("issuing.pem"), "-cert", _folder.File("leaf.pem"), "-url", $"http://{domain.ServerHost.OcspEndPoint}/ocsp", "-CAfile", _folder.File("anchor.pem")]);

    private Task WriteAsync(string name, string text) => File.WriteAllTextAsync(_folder.File(name), text, _patience);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // Whether it listens is asked of the kernel: a connection would be the one that it accepts.
    private static bool IsOpen(int port) => File.ReadLines("/proc/net/tcp").Any(line => line.Contains($"0100007F:{port:X4} 00000000:0000 0A", StringComparison.Ordinal));
}
