using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using Grpc.Core;
using Signet.Client;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Rpc.Wire.Node;
using Signet.Server.Http;
using Signet.Testing;
using AuthorityApi = Signet.Rpc.Wire.Authority;
using StatusCode = Grpc.Core.StatusCode;

namespace Signet.FunctionalTests.Server;

/// <summary>One certificate revoked: at the server, at the agent, at workloads, over HTTP and over SDS.</summary>
public sealed class RevocationTests : IDisposable
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private readonly HttpClient _http = new();

    public void Dispose() => _http.Dispose();

    [Fact]
    public async Task A_certificate_is_stapled_until_it_is_revoked_and_then_replaced_and_refused_everywhere()
    {
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Ocsp = new OcspConfig(new IPEndPoint(IPAddress.Loopback, 0)) });
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var first = (await source.WaitAsync(_patience)).Default;
        var request = OcspRequest.Encode(OcspCertificateId.Of(first.Issuer!, first.Leaf.SerialHex, HashAlgorithmName.SHA1));
        Assert.IsType<OcspStatus.Good>((await PostAsync(domain, request)).Answers[0].Status);

        // What proxies staple.
        using var proxy = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        var stapled = await StapleAsync(proxy, first);
        Assert.True(stapled.IsSignedBy(first.Issuer!));
        Assert.IsType<OcspStatus.Good>(Assert.Single(stapled.Answers).Status);

        // Revoked: the agent has another one at once, nobody believes the first, and it stays so over a restart.
        using var operators = domain.Admin();
        var client = operators.Authorities;
        var revoked = Assert.Single(await client.RevokeCertificatesAsync(first.Leaf.SerialHex, null, "keyCompromise", _patience));
        Assert.Equal((first.Leaf.SerialHex, first.Id.Uri, "keyCompromise"), (revoked.Serial, revoked.SpiffeId, revoked.Reason));
        await Eventually.IsTrueAsync(() => source.Current!.Default.Leaf.SerialHex != first.Leaf.SerialHex && !source.Current.Bundles.Crls.IsEmpty, "another certificate, and the list");
        Assert.False(SvidVerifier.Verify(first.Chain, source.Current!.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow).IsTrusted);
        Assert.True(SvidVerifier.Verify(source.Current.Default.Chain, source.Current.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow).IsTrusted);
        Assert.Equal(RevocationReason.KeyCompromise, Assert.IsType<OcspStatus.Revoked>((await PostAsync(domain, request)).Answers[0].Status).Reason);
        await StapleAsync(proxy, source.Current.Default);
        await domain.StopServerAsync();
        await domain.StartServerAsync();
        Assert.IsType<OcspStatus.Revoked>((await PostAsync(domain, request)).Answers[0].Status);
        using var again = domain.Admin();
        Assert.Equal(first.Leaf.SerialHex, Assert.Single(await again.Authorities.RevocationsAsync(_patience)).Serial);

        // Whole IDs, and what can't be revoked.
        Assert.Contains(await again.Authorities.RevokeCertificatesAsync(null, first.Id.Uri, "superseded", _patience), one => one.Reason == "superseded");
        await CodeAsync(StatusCode.FailedPrecondition, () => again.Authorities.RevokeCertificatesAsync(null, domain.AgentId.Uri, "superseded", _patience));
        await CodeAsync(StatusCode.NotFound, () => again.Authorities.RevokeCertificatesAsync("4abc", null, "superseded", _patience));
        await CodeAsync(StatusCode.NotFound, () => again.Authorities.RevokeCertificatesAsync(null, "spiffe://example.org/nobody", "superseded", _patience));
        await CodeAsync(StatusCode.InvalidArgument, () => again.Authorities.RevokeCertificatesAsync("4abc", "spiffe://example.org/web", "superseded", _patience));
        await CodeAsync(StatusCode.InvalidArgument, () => again.Authorities.RevokeCertificatesAsync(null, null, "superseded", _patience));
        await CodeAsync(StatusCode.InvalidArgument, () => again.Authorities.RevokeCertificatesAsync("xyz", null, "superseded", _patience));
        await CodeAsync(StatusCode.InvalidArgument, () => again.Authorities.RevokeCertificatesAsync("4abc", null, "boredom", _patience));
    }

    [Fact]
    public async Task Questions_over_HTTP_are_bounded_and_whatever_is_none_is_told_so()
    {
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Ocsp = new OcspConfig(new IPEndPoint(IPAddress.Loopback, 0)) });
        var issuer = await IssuerAsync(domain);
        var request = OcspRequest.Encode(OcspCertificateId.Of(issuer, "4a", HashAlgorithmName.SHA256));
        var root = $"http://{domain.ServerHost.OcspEndPoint}/ocsp";

        // GET: base64 as it is, and escaped.
        foreach (var encoded in new[] { Convert.ToBase64String(request), Uri.EscapeDataString(Convert.ToBase64String(request)) })
        {
            using var got = await _http.GetAsync(new Uri($"{root}/{encoded}"), _patience);
            Assert.Equal("application/ocsp-response", got.Content.Headers.ContentType!.MediaType);
            Assert.True(OcspResponse.TryParse(await got.Content.ReadAsByteArrayAsync(_patience), out var response, out var problem), problem);
            Assert.True(response.IsSignedBy(issuer));
        }

        var malformed = OcspResponse.Refuse(OcspRefusal.MalformedRequest);
        Assert.Equal(malformed, await _http.GetByteArrayAsync(new Uri($"{root}/AAAA"), _patience));
        Assert.Equal(malformed, await _http.GetByteArrayAsync(new Uri($"{root}/%%%"), _patience));
        Assert.Equal(malformed, await _http.GetByteArrayAsync(new Uri($"{root}/{new string('A', 2000)}"), _patience));
        Assert.Equal(malformed, await (await SendAsync(HttpMethod.Post, root, [1, 2, 3])).Content.ReadAsByteArrayAsync(_patience));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await SendAsync(HttpMethod.Post, root, new byte[OcspRequest.MaxLength + 1])).StatusCode);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await SendAsync(HttpMethod.Post, root, request, "text/plain")).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await SendAsync(HttpMethod.Put, root, request)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Post, root + "/more", request)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await _http.GetAsync(new Uri(root), _patience)).StatusCode);

        // Each answer is a signature, so nobody gets any number of them.
        byte[] last;
        var asked = 0;
        do
        {
            last = await (await SendAsync(HttpMethod.Post, root, request)).Content.ReadAsByteArrayAsync(_patience);
        }
        while (!last.SequenceEqual(OcspResponse.Refuse(OcspRefusal.TryLater)) && ++asked < 5000);
        Assert.Equal(OcspResponse.Refuse(OcspRefusal.TryLater), last);
    }

    [Fact]
    public async Task Only_agents_are_given_staples_and_nobody_who_may_not_revokes()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        Assert.Null(domain.ServerHost.OcspEndPoint);
        using var agent = await ForeignAgent.JoinAsync(domain, _patience);
        using var channel = agent.Open();
        var issuer = await IssuerAsync(domain);
        StapleRequest Ask(string serial, string issuerSerial, int count = 1) => new() { Certificates = { Enumerable.Repeat(new StapleRequest.Types.Certificate { Serial = serial, IssuerSerial = issuerSerial }, count) } };
        var node = new Node.NodeClient(channel);
        var answers = (await node.StapleAsync(Ask("4a", issuer.SerialHex), cancellationToken: _patience)).Responses;
        Assert.True(OcspResponse.TryParse(Assert.Single(answers).Memory, out var response, out var problem), problem);
        Assert.True(response.IsSignedBy(issuer));
        foreach (var (serial, issuerSerial) in new[] { ("4a", "4b"), ("", issuer.SerialHex), ("4A", issuer.SerialHex), (new string('a', 41), issuer.SerialHex) })
        {
            Assert.Equal(OcspResponse.Refuse(OcspRefusal.Unauthorized), (await node.StapleAsync(Ask(serial, issuerSerial), cancellationToken: _patience)).Responses[0].ToByteArray());
        }

        await CodeAsync(StatusCode.InvalidArgument, () => node.StapleAsync(Ask("4a", issuer.SerialHex, 501), cancellationToken: _patience).ResponseAsync);
        await CodeAsync(StatusCode.PermissionDenied, () => new AuthorityApi.Revocations.RevocationsClient(channel)
            .RevokeAsync(new AuthorityApi.RevokeRequest { SpiffeId = "spiffe://example.org/web", Reason = "superseded" }, cancellationToken: _patience).ResponseAsync);
        using var local = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        await CodeAsync(StatusCode.PermissionDenied, () => new Node.NodeClient(local).StapleAsync(Ask("4a", issuer.SerialHex), cancellationToken: _patience).ResponseAsync);
    }

    /// <summary>The authority that signed the agent's own certificate.</summary>
    private async Task<Certificate> IssuerAsync(TestTrustDomain domain)
    {
        Certificate? issuer = null;
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        await Eventually.IsTrueAsync(
            async () =>
            {
                var isRead = Pem.TryReadCertificates(await File.ReadAllTextAsync(Path.Combine(domain.Folder, "agent", "identity.pem"), _patience), out var chain, out _);
                issuer = isRead ? chain[1] : null;
                return isRead;
            },
            "the agent's certificate");
        return issuer!;
    }

    private static async Task CodeAsync<T>(StatusCode code, Func<Task<T>> call) => Assert.Equal(code, (await Assert.ThrowsAsync<RpcException>(call)).StatusCode);

    private async Task<OcspResponse> StapleAsync(GrpcChannel channel, X509Svid svid)
    {
        OcspResponse? staple = null;
        await Eventually.IsTrueAsync(
            async () =>
            {
                var answer = await new SecretDiscoveryService.SecretDiscoveryServiceClient(channel)
                    .FetchSecretsAsync(new DiscoveryRequest { ResourceNames = { "default" }, TypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret" }, cancellationToken: _patience);
                var certificate = answer.Resources[0].Unpack<Secret>().TlsCertificate;
                return certificate.OcspStaple is { } source
                    && Pem.TryReadCertificates(certificate.CertificateChain.InlineBytes.ToStringUtf8(), out var chain, out _) && chain[0].SerialHex == svid.Leaf.SerialHex
                    && OcspResponse.TryParse(source.InlineBytes.Memory, out staple, out _);
            },
            "the staple");
        return staple!;
    }

    private async Task<OcspResponse> PostAsync(TestTrustDomain domain, byte[] request)
    {
        using var response = await SendAsync(HttpMethod.Post, $"http://{domain.ServerHost.OcspEndPoint}/ocsp", request);
        return OcspResponse.TryParse(await response.Content.ReadAsByteArrayAsync(_patience), out var read, out var problem) ? read : throw new InvalidOperationException(problem);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string url, byte[] body, string type = "application/ocsp-request")
    {
        using var message = new HttpRequestMessage(method, new Uri(url)) { Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue(type) } } };
        return await _http.SendAsync(message, _patience);
    }
}
