using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Client;
using Signet.Identity.Jose;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Spire.Server.LocalAuthority;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

public sealed class LocalAuthorityTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_tainted_issuing_authority_is_replaced_everywhere_and_once_revoked_believed_nowhere()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await source.WaitAsync(_patience);
        using var operators = domain.Admin();
        var client = operators.Authorities;
        var first = Assert.Single(await client.ListAsync(_patience), authority => authority.Tier == "issuing");

        var next = await client.PrepareAsync(jwt: false, _patience);
        await client.ActivateAsync(jwt: false, next.AuthorityId, _patience);
        await client.TaintAsync(jwt: false, first.Id, _patience);
        await Eventually.IsTrueAsync(() => source.Current!.Default.Issuer!.SerialHex == next.AuthorityId, "an SVID of the new authority");
        var agentIdentity = Path.Combine(domain.Folder, "agent", "identity.pem");
        await Eventually.IsTrueAsync(
            async () => Pem.TryReadCertificates(await File.ReadAllTextAsync(agentIdentity, _patience), out var chain, out _) && chain[1].SerialHex == next.AuthorityId, "the agent's own SVID");
        Assert.True(Believed(before.Default), "what is tainted still holds");

        await client.RevokeAsync(jwt: false, first.Id, _patience);
        await Eventually.IsTrueAsync(() => !source.Current!.Bundles.Crls.IsEmpty, "the list at the workload");
        Assert.False(Believed(before.Default));
        Assert.True(Believed(source.Current!.Default));
        Assert.Equal("revoked", Assert.Single(await client.ListAsync(_patience), authority => authority.Id == first.Id).State);

        // The agent still speaks with its server, over a restart too.
        await domain.StopAgentAsync();
        await domain.StartAgentAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");

        bool Believed(X509Svid svid) => SvidVerifier.Verify(svid.Chain, source.Current!.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow).IsTrusted;
    }

    [Fact]
    public async Task A_tainted_JWT_key_signs_nothing_more_and_once_revoked_its_tokens_are_refused()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await using (var source = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            await source.WaitAsync(_patience);
        }

        using var operators = domain.Admin();
        var client = operators.Authorities;
        var token = await TokenAsync(domain);
        var first = KeyOf(token);
        var next = await client.PrepareAsync(jwt: true, _patience);
        await Eventually.IsTrueAsync(() => ActivatesAsync(client, next.AuthorityId), "everybody to have the key");
        await client.TaintAsync(jwt: true, first, _patience);
        await Eventually.IsTrueAsync(async () => KeyOf(await TokenAsync(domain)) == next.AuthorityId, "a token of the new key");
        await domain.Client.ValidateJwtAsync("billing", token, _patience);
        await client.RevokeAsync(jwt: true, first, _patience);
        await Eventually.IsTrueAsync(() => IsRefusedAsync(domain, token), "the old token to be refused");
    }

    [Fact]
    public async Task A_JWT_key_that_an_agent_does_not_have_yet_is_not_activated()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        await domain.StopAgentAsync();
        using var operators = domain.Admin();
        var client = operators.Authorities;
        var next = await client.PrepareAsync(jwt: true, _patience);
        var refusal = await Assert.ThrowsAsync<RpcException>(() => client.ActivateAsync(jwt: true, next.AuthorityId, _patience));
        Assert.Equal(StatusCode.FailedPrecondition, refusal.StatusCode);
        Assert.Contains(domain.AgentId.Uri, refusal.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_what_is_old_is_tainted_only_what_is_tainted_revoked_and_there_is_nothing_above()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var channel = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        var local = new LocalAuthority.LocalAuthorityClient(channel);
        var options = new CallOptions(CancellationToken: _patience);
        var state = await local.GetX509AuthorityStateAsync(new GetX509AuthorityStateRequest(), options);
        Assert.Null(state.Prepared);
        Assert.Null(state.Old);
        Assert.Equal(40, state.Active.UpstreamAuthoritySubjectKeyId.Length);
        var active = state.Active.AuthorityId;
        AsyncUnaryCall<TaintX509AuthorityResponse> Taint(string id) => local.TaintX509AuthorityAsync(new TaintX509AuthorityRequest { AuthorityId = id }, options);
        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(async () => await Taint(active))).StatusCode);
        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(async () => await Taint(""))).StatusCode);
        Assert.Equal(
            StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(async () => await local.RevokeX509AuthorityAsync(new RevokeX509AuthorityRequest { AuthorityId = active }, options))).StatusCode);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await local.TaintX509UpstreamAuthorityAsync(new TaintX509UpstreamAuthorityRequest(), options));
        Assert.Equal(StatusCode.FailedPrecondition, refused.StatusCode);
        Assert.Contains("signet authority rotate --anchor", refused.Status.Detail, StringComparison.Ordinal);
    }

    private async Task<bool> ActivatesAsync(AuthorityClient client, string id)
    {
        try
        {
            await client.ActivateAsync(jwt: true, id, _patience);
            return true;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.FailedPrecondition)
        {
            return false;
        }
    }

    private async Task<bool> IsRefusedAsync(TestTrustDomain domain, string token)
    {
        try
        {
            await domain.Client.ValidateJwtAsync("billing", token, _patience);
            return false;
        }
        catch (WorkloadApiException)
        {
            return true;
        }
    }

    private async Task<string> TokenAsync(TestTrustDomain domain) => (await domain.Client.FetchJwtAsync(["billing"], null, _patience))[0].Token;

    private static string KeyOf(string token)
    {
        Assert.True(CompactJws.TryParse(token, out var jws, out var problem), problem);
        using (jws)
        {
            return jws.HeaderText("kid")!;
        }
    }
}
