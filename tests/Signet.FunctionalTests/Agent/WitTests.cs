using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Grpc.Core;
using Signet.Client;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Spiffe;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Testing;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using WireId = Signet.Rpc.Wire.Spire.Types.SPIFFEID;

namespace Signet.FunctionalTests.Agent;

/// <summary>WIT-SVIDs: nowhere by default, and whole where they are asked for.</summary>
public sealed class WitTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task By_default_neither_server_nor_agent_implements_them()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        using var agent = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        using var server = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        var api = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(agent);
        using var svids = api.FetchWITSVID(new WITSVIDRequest(), WorkloadApi.Options(_patience));
        using var bundles = api.FetchWITBundles(new WITBundlesRequest(), WorkloadApi.Options(_patience));

        Assert.Equal(StatusCode.Unimplemented, (await Assert.ThrowsAsync<RpcException>(() => svids.ResponseStream.MoveNext(_patience))).StatusCode);
        Assert.Equal(StatusCode.Unimplemented, (await Assert.ThrowsAsync<RpcException>(() => bundles.ResponseStream.MoveNext(_patience))).StatusCode);
        Assert.Equal(StatusCode.Unimplemented, (await Assert.ThrowsAsync<RpcException>(() => new SVID.SVIDClient(server).MintWITSVIDAsync(new MintWITSVIDRequest(), cancellationToken: _patience).ResponseAsync)).StatusCode);
        Assert.Empty((await new BundleApi.BundleClient(server).GetBundleAsync(new GetBundleRequest(), cancellationToken: _patience)).WitAuthorities);
    }

    [Fact]
    public async Task A_workload_gets_a_token_and_its_key_and_another_believes_both_with_the_bundle()
    {
        await using var domain = await TestTrustDomain.StartAsync(
            configure: config => config with { Authority = config.Authority with { SignsWit = true } }, configureAgent: config => config with { ServesWit = true });
        var entry = await domain.RegisterAsync("/web");
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 1, "the entry at the agent");
        using var agent = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        var api = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(agent);
        using var svids = api.FetchWITSVID(new WITSVIDRequest(), WorkloadApi.Options(_patience));
        Assert.True(await svids.ResponseStream.MoveNext(_patience));
        var svid = Assert.Single(svids.ResponseStream.Current.Svids);
        using var bundles = api.FetchWITBundles(new WITBundlesRequest(), WorkloadApi.Options(_patience));
        Assert.True(await bundles.ResponseStream.MoveNext(_patience));
        var bundle = Read(bundles.ResponseStream.Current.Bundles["spiffe://example.org"]);

        var verdict = WitSvid.Verify(svid.WitSvid, _ => bundle, DateTimeOffset.UtcNow);
        Assert.Equal("spiffe://example.org/web", verdict.Id?.Uri);
        Assert.Equal(svid.SpiffeId, verdict.Id?.Uri);
        using var key = PrivateKey(svid.WitSvidKey);
        Assert.Equal(verdict.Confirmation!.SubjectPublicKeyInfo.ToArray(), KeyPair.ExportPublicKey(key));
        Assert.False(WitSvid.Verify(svid.WitSvid, _ => WitBundle.Empty(TestTrustDomain.Name), DateTimeOffset.UtcNow).IsTrusted);

        // The same keys are in the trust domain's bundle, under names of their own.
        using var server = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        var whole = await new BundleApi.BundleClient(server).GetBundleAsync(new GetBundleRequest(), cancellationToken: _patience);
        Assert.Equal(bundle.Authorities.Select(one => one.KeyId), whole.WitAuthorities.Select(one => one.KeyId));
        Assert.Empty(whole.WitAuthorities.Select(one => one.KeyId).Intersect(whole.JwtAuthorities.Select(one => one.KeyId)));

        // An entry that changes makes another token; one that goes takes the stream's standing away.
        using var admin = domain.Admin();
        await admin.UpdateEntryAsync(new Signet.Rpc.Wire.Spire.Types.Entry { Id = entry.Id, Hint = "main" }, new Signet.Rpc.Wire.Spire.Types.EntryMask { Hint = true }, _patience);
        Assert.True(await svids.ResponseStream.MoveNext(_patience));
        Assert.Equal("main", svids.ResponseStream.Current.Svids[0].Hint);
        Assert.NotEqual(svid.WitSvid, svids.ResponseStream.Current.Svids[0].WitSvid);
        await admin.DeleteEntryAsync(entry.Id, _patience);
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(() => svids.ResponseStream.MoveNext(_patience))).StatusCode);
        using var stranger = api.FetchWITSVID(new WITSVIDRequest { SpiffeId = "spiffe://example.org/other" }, WorkloadApi.Options(_patience));
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(() => stranger.ResponseStream.MoveNext(_patience))).StatusCode);

        // An operator mints one for a key that is fit for it, and for no other.
        using var ed = KeyPair.Generate(KeyType.Ed25519);
        var minted = await MintAsync(server, KeyPair.ExportPublicKey(key));
        Assert.Equal("spiffe://example.org/tool", WitSvid.Verify(minted, _ => bundle, DateTimeOffset.UtcNow).Id?.Uri);
        Assert.Contains("keys for tokens are EC or RSA", (await Assert.ThrowsAsync<RpcException>(() => MintAsync(server, KeyPair.ExportPublicKey(ed)))).Status.Detail, StringComparison.Ordinal);
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => MintAsync(server, [1, 2, 3]))).StatusCode);

        // The key outlives a restart of the server.
        await domain.StopServerAsync();
        await domain.StartServerAsync();
        using var again = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        Assert.Equal(whole.WitAuthorities, (await new BundleApi.BundleClient(again).GetBundleAsync(new GetBundleRequest(), cancellationToken: _patience)).WitAuthorities);
    }

    private async Task<string> MintAsync(GrpcChannel server, byte[] publicKey) => (await new SVID.SVIDClient(server).MintWITSVIDAsync(
        new MintWITSVIDRequest { Id = new WireId { TrustDomain = "example.org", Path = "/tool" }, PublicKey = ByteString.CopyFrom(publicKey) }, cancellationToken: _patience)).Svid.Token;

    private static WitBundle Read(string json) => WitBundle.TryParse(TestTrustDomain.Name, json, out var bundle, out var problem) ? bundle : throw new InvalidOperationException(problem);

    private static ECDsa PrivateKey(string json)
    {
        var jwk = JsonNode.Parse(json)!;
        Assert.Equal("ES256", jwk["alg"]!.GetValue<string>());
        Assert.NotEmpty(jwk["kid"]!.GetValue<string>());
        return ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = Bytes("x"), Y = Bytes("y") },
            D = Bytes("d"),
        });

        byte[] Bytes(string name) => Base64Url.DecodeFromChars(jwk[name]!.GetValue<string>());
    }
}
