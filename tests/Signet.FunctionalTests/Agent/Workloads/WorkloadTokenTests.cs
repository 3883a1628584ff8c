using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Agent.Attestation.Workload.Token;
using Signet.Identity.Registration;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>A proxy shows a signed token in its metadata and gets the identity of the application that the token names.</summary>
public sealed class WorkloadTokenTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    [Fact]
    public async Task An_application_key_that_is_proved_is_matched_like_any_selector_and_one_that_is_not_is_refused()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        await domain.StopAgentAsync();
        var q = _key.ExportParameters(includePrivateParameters: false).Q;
        var keys = Path.Combine(domain.Folder, "paas.json");
        await File.WriteAllTextAsync(keys, $"{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{Base64Url.EncodeToString(q.X)}\",\"y\":\"{Base64Url.EncodeToString(q.Y)}\"}}]}}", _patience);
        domain.ConfigureAgent = config => config with
        {
            WorkloadTokens = new WorkloadTokenConfig
            {
                Issuers = [new WorkloadTokenIssuer { Issuer = "paas", Keys = keys, Claims = new Dictionary<string, IReadOnlyList<string>> { ["appkey"] = ["*"] } }],
            },
        };
        await domain.StartAgentAsync();
        await domain.RegisterAsync("/orders", TestTrustDomain.Myself, new Selector("token", "appkey:orders"));
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 1, "the entry");
        using var channel = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        var sds = new SecretDiscoveryService.SecretDiscoveryServiceClient(channel);

        // 1. With the right token the identity comes.
        await Eventually.IsTrueAsync(async () => await NamesAsync(sds, Token("orders", 300)) is ["default"], "the SVID");

        // 2. Without, with another's, with one that was changed, and with a bare claim it does not.
        Assert.Contains("no identity issued", await RefusedAsync(sds, new Struct()));
        Assert.Contains("no identity issued", await RefusedAsync(sds, Metadata(Token("billing", 300))));
        Assert.Contains("made the signature", await RefusedAsync(sds, Metadata(Token("orders", 300)[..^4] + "AAAA")));
        Assert.Contains("brings no \"token\"", await RefusedAsync(sds, new Struct { Fields = { ["appkey"] = Value.ForString("orders") } }));

        // 3. A stream ends with its token.
        using var call = sds.StreamSecrets(new CallOptions(CancellationToken: _patience));
        await call.RequestStream.WriteAsync(Request(Metadata(Token("orders", 3))), _patience);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        var ended = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(_patience));
        Assert.Equal(StatusCode.PermissionDenied, ended.StatusCode);
        Assert.Contains("token has expired", ended.Status.Detail);
    }

    private async Task<IReadOnlyList<string>> NamesAsync(SecretDiscoveryService.SecretDiscoveryServiceClient sds, string token)
    {
        try
        {
            var response = await sds.FetchSecretsAsync(Request(Metadata(token)), new CallOptions(CancellationToken: _patience)).ResponseAsync;
            return [.. response.Resources.Select(resource => resource.Unpack<Signet.Rpc.Wire.Envoy.Tls.Secret>().Name)];
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.Unavailable)
        {
            return [];
        }
    }

    private async Task<string> RefusedAsync(SecretDiscoveryService.SecretDiscoveryServiceClient sds, Struct metadata)
    {
        var refused = await Assert.ThrowsAsync<RpcException>(() => sds.FetchSecretsAsync(Request(metadata), new CallOptions(CancellationToken: _patience)).ResponseAsync);
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        return refused.Status.Detail;
    }

    private static DiscoveryRequest Request(Struct metadata) => new() { Node = new Node { Id = "proxy", Metadata = metadata }, ResourceNames = { "default" } };

    private static Struct Metadata(string token) => new() { Fields = { ["token"] = Value.ForString(token) } };

    private string Token(string appkey, int seconds)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var text = Encode("{\"alg\":\"ES256\"}") + "." + Encode($"{{\"iss\":\"paas\",\"aud\":\"spiffe://example.org\",\"iat\":{now},\"exp\":{now + seconds},\"appkey\":\"{appkey}\"}}");
        return text + "." + Base64Url.EncodeToString(_key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256));
    }

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}
