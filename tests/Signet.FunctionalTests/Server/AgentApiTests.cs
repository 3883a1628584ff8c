using Google.Protobuf;
using Grpc.Core;
using Signet.Client.Tls;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Testing;
using AgentApi = Signet.Rpc.Wire.Spire.Server.Agent.Agent;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;
using Reason = Signet.Rpc.Wire.Spire.Types.PermissionDeniedDetails.Types.Reason;

namespace Signet.FunctionalTests.Server;

/// <summary>What becomes of agents, and of what they and others may send.</summary>
public sealed class AgentApiTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task Two_that_join_at_once_with_one_token_do_not_both_join()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        for (var round = 0; round < 5; round++)
        {
            var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => OutcomeAsync(() => JoinAsync(domain, token.Token)))));
            Assert.Single(outcomes, StatusCode.OK);
            Assert.All(outcomes.Where(outcome => outcome != StatusCode.OK), outcome => Assert.Equal(StatusCode.PermissionDenied, outcome));
        }
    }

    [Fact]
    public async Task An_agent_that_lost_its_answer_asks_again_with_the_same_key_and_another_key_does_not_get_in()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = (await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience)).Token;
        var key = KeyPair.Generate(KeyType.EcP256);
        var first = await ForeignAgent.JoinAsync(domain, token, key, _patience);
        var second = await ForeignAgent.JoinAsync(domain, token, key, _patience);
        Assert.Equal(first.Id, second.Id);
        Assert.NotEqual(first.Leaf.SerialHex, second.Leaf.SerialHex);
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => JoinAsync(domain, token)));

        // The first answer may have arrived after all; it is worth nothing once the second was used.
        using var one = Connect(domain, first);
        using var other = Connect(domain, second);
        await new AgentApi.AgentClient(one).PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience);
        await new AgentApi.AgentClient(other).PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience);
        Assert.Equal(Reason.AgentNotActive, await ReasonAsync(() => new AgentApi.AgentClient(one).PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience).ResponseAsync));

        // A restart does not open the token to others, and whoever was evicted does not come back by it.
        await domain.StopServerAsync();
        await domain.StartServerAsync();
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => JoinAsync(domain, token)));
        await ForeignAgent.JoinAsync(domain, token, key, _patience);
        await admin.EvictAgentAsync(first.Id, _patience);
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => ForeignAgent.JoinAsync(domain, token, key, _patience)));
    }

    [Fact]
    public async Task A_banned_agent_is_told_so_and_stays_out_until_it_is_evicted()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        var svid = await JoinAsync(domain, token.Token);
        using var channel = Connect(domain, svid);
        var agent = new AgentApi.AgentClient(channel);
        await agent.PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience);

        await admin.BanAgentAsync(svid.Id, _patience);
        Assert.Equal(Reason.AgentBanned, await ReasonAsync(() => agent.PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience).ResponseAsync));
        using var local = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        await new AgentApi.AgentClient(local).CreateJoinTokenAsync(new CreateJoinTokenRequest { Ttl = 60, Token = token.Token }, cancellationToken: _patience);
        Assert.Equal(Reason.AgentBanned, await ReasonAsync(() => JoinAsync(domain, token.Token)));

        await domain.StopServerAsync();
        await domain.StartServerAsync();
        Assert.True((await admin.AgentAsync(svid.Id, _patience)).Banned, "a ban outlives a restart");

        await admin.EvictAgentAsync(svid.Id, _patience);
        Assert.Equal(Reason.AgentNotAttested, await ReasonAsync(() => agent.PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience).ResponseAsync));
        await JoinAsync(domain, token.Token);
        Assert.False((await admin.AgentAsync(svid.Id, _patience)).Banned);
    }

    [Fact]
    public async Task A_server_below_gets_an_authority_by_its_downstream_entry_and_what_that_signs_is_trusted()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var below = await admin.MintAsync(SpiffeId.Parse("spiffe://example.org/below"), TimeSpan.FromMinutes(10), [], _patience);
        using var channel = Connect(domain, below);
        var client = new SVID.SVIDClient(channel);
        var key = KeyPair.Generate(KeyType.EcP256);
        var request = new NewDownstreamX509CARequest { Csr = ByteString.CopyFrom(SigningRequest.Create(key)), PreferredTtl = 3600 };
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => client.NewDownstreamX509CAAsync(request, cancellationToken: _patience).ResponseAsync));

        await admin.CreateEntryAsync(Entry(domain, "/below") with { Downstream = true }, _patience);
        var answer = await client.NewDownstreamX509CAAsync(request, cancellationToken: _patience);
        var authority = Certificate.Parse(Assert.Single(answer.CaCertChain).ToByteArray());
        Assert.True(authority.NotAfter <= DateTimeOffset.UtcNow.AddSeconds(3610));
        var bundle = X509Bundle.Create(TestTrustDomain.Name, [.. answer.X509Authorities.Select(der => Certificate.Parse(der.ToByteArray()))]);
        var workload = SpiffeId.Parse("spiffe://example.org/under-below");
        var leaf = CertificateTemplate
            .Leaf(workload, KeyPair.ExportPublicKey(KeyPair.Generate(KeyType.EcP256)), DateTimeOffset.UtcNow.AddSeconds(-5), DateTimeOffset.UtcNow.AddMinutes(5))
            .Sign(authority, key);
        var verdict = SvidVerifier.Verify([leaf, authority], TrustBundles.Of(bundle), CertificateUsage.Any, DateTimeOffset.UtcNow);
        Assert.True(verdict.IsTrusted, verdict.Reason);
        Assert.Equal(workload, verdict.Id);
    }

    [Fact]
    public async Task Hostile_CSRs_are_refused_each_with_its_reason_and_others_in_the_batch_are_served()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(domain, await JoinAsync(domain, token.Token));
        var entry = await admin.CreateEntryAsync(Entry(domain, "/web") with { ParentId = token.AgentId }, _patience);
        var good = SigningRequest.Create(KeyPair.Generate(KeyType.EcP256), entry.SpiffeId);
        var forged = good.ToArray();
        forged[^1] ^= 1;
        var request = new BatchNewX509SVIDRequest();
        byte[][] hostile = [[], [0x30, 0x80], new byte[1_000_000], forged, good[..^1], [.. good, 0]];
        request.Params.AddRange(hostile.Prepend(good).Select(csr => new NewX509SVIDParams { EntryId = entry.Id, Csr = ByteString.CopyFrom(csr) }));
        var results = (await new SVID.SVIDClient(channel).BatchNewX509SVIDAsync(request, cancellationToken: _patience)).Results;
        Assert.Equal((int)StatusCode.OK, results[0].Status.Code);
        Assert.All(results.Skip(1), result =>
        {
            Assert.Equal((int)StatusCode.InvalidArgument, result.Status.Code);
            Assert.StartsWith("CSR: ", result.Status.Message);
            Assert.Null(result.Svid);
        });
    }

    [Fact]
    public async Task What_a_CSR_asks_for_beside_its_key_is_not_granted()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(domain, await JoinAsync(domain, token.Token));
        var entry = await admin.CreateEntryAsync(Entry(domain, "/web") with { ParentId = token.AgentId }, _patience);
        var request = new BatchNewX509SVIDRequest();
        request.Params.Add(new NewX509SVIDParams
        {
            EntryId = entry.Id,
            Csr = ByteString.CopyFrom(SigningRequest.Create(KeyPair.Generate(KeyType.EcP256), SpiffeId.Parse("spiffe://example.org/spire/server"), ["bank.example.org"])),
        });
        var leaf = Certificate.Parse((await new SVID.SVIDClient(channel).BatchNewX509SVIDAsync(request, cancellationToken: _patience)).Results[0].Svid.CertChain[0].ToByteArray());
        Assert.Equal(["spiffe://example.org/web"], leaf.UriNames);
        Assert.Empty(leaf.DnsNames);
    }

    [Fact]
    public async Task An_agent_gets_nothing_for_entries_of_another_node()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(domain, await JoinAsync(domain, token.Token));
        var others = await admin.CreateEntryAsync(Entry(domain, "/web"), _patience);
        var request = new BatchNewX509SVIDRequest();
        request.Params.Add(new NewX509SVIDParams { EntryId = others.Id, Csr = ByteString.CopyFrom(SigningRequest.Create(KeyPair.Generate(KeyType.EcP256), others.SpiffeId)) });
        var svids = new SVID.SVIDClient(channel);
        Assert.Equal((int)StatusCode.NotFound, (await svids.BatchNewX509SVIDAsync(request, cancellationToken: _patience)).Results[0].Status.Code);
        Assert.Equal(StatusCode.NotFound, await OutcomeAsync(() => svids.NewJWTSVIDAsync(new NewJWTSVIDRequest { EntryId = others.Id, Audience = { "a" } }, cancellationToken: _patience).ResponseAsync));
        Assert.Empty((await new EntryApi.EntryClient(channel).GetAuthorizedEntriesAsync(new GetAuthorizedEntriesRequest(), cancellationToken: _patience)).Entries);
    }

    [Fact]
    public async Task Batches_and_texts_beyond_their_limits_are_refused_whole_and_change_nothing()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        using var local = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        var entries = new EntryApi.EntryClient(local);
        var wire = Entry(domain, "/web").ToWire();
        Assert.Equal(StatusCode.InvalidArgument, await OutcomeAsync(() => entries.BatchCreateEntryAsync(new BatchCreateEntryRequest { Entries = { Enumerable.Repeat(wire, 501) } }, cancellationToken: _patience).ResponseAsync));
        Assert.Equal(StatusCode.InvalidArgument, await OutcomeAsync(() => entries.BatchDeleteEntryAsync(new BatchDeleteEntryRequest { Ids = { Enumerable.Repeat("x", 501) } }, cancellationToken: _patience).ResponseAsync));
        Assert.Equal(StatusCode.ResourceExhausted, await OutcomeAsync(() => entries.GetEntryAsync(new GetEntryRequest { Id = new string('x', 5_000_000) }, cancellationToken: _patience).ResponseAsync));
        Assert.Equal(0, await admin.CountEntriesAsync(null, null, _patience));
    }

    [Theory]
    [InlineData("/web", "/web", "is the entry's own SPIFFE ID")]
    [InlineData("/spire/agent/join_token/x", "/spire/agent/join_token/y", "is reserved")]
    [InlineData("/spire/server", "/spire/agent/join_token/y", "is reserved")]
    [InlineData("", "/spire/agent/join_token/y", "has no path")]
    [InlineData("/web", "", "is not an agent")]
    public async Task An_entry_with_an_impossible_parent_or_ID_is_refused(string id, string parent, string reason)
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var wrong = Entry(domain, "/x") with { SpiffeId = SpiffeId.Parse($"spiffe://example.org{id}"), ParentId = SpiffeId.Parse($"spiffe://example.org{parent}") };
        var refused = await Assert.ThrowsAsync<RpcException>(() => admin.CreateEntryAsync(wrong, _patience));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains(reason, refused.Status.Detail);
        Assert.Equal(0, await admin.CountEntriesAsync(null, null, _patience));
    }

    [Fact]
    public async Task Entries_that_are_each_others_parents_reach_nobody_and_stop_nothing()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(domain, await JoinAsync(domain, token.Token));
        SpiffeId Id(string path) => SpiffeId.Of(TestTrustDomain.Name, path);
        await admin.CreateEntryAsync(Entry(domain, "/a") with { ParentId = Id("/b") }, _patience);
        await admin.CreateEntryAsync(Entry(domain, "/b") with { ParentId = Id("/c") }, _patience);
        var last = await admin.CreateEntryAsync(Entry(domain, "/c") with { ParentId = Id("/a") }, _patience);
        var entries = new EntryApi.EntryClient(channel);
        Assert.Empty((await entries.GetAuthorizedEntriesAsync(new GetAuthorizedEntriesRequest(), cancellationToken: _patience)).Entries);

        await admin.CreateEntryAsync(Entry(domain, "/a") with { ParentId = token.AgentId }, _patience);
        Assert.Equal(4, (await entries.GetAuthorizedEntriesAsync(new GetAuthorizedEntriesRequest(), cancellationToken: _patience)).Entries.Count);
        await admin.DeleteEntryAsync(last.Id, _patience);
    }

    [Fact]
    public async Task A_stranger_is_told_nothing_beyond_that_a_call_is_not_open()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var channel = Connect(domain, svid: null);
        var refused = await Assert.ThrowsAsync<RpcException>(() => new EntryApi.EntryClient(channel).ListEntriesAsync(new ListEntriesRequest(), cancellationToken: _patience).ResponseAsync);
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Equal("this call is not open to you", refused.Status.Detail);
    }

    private Task<X509Svid> JoinAsync(TestTrustDomain domain, string token) => ForeignAgent.JoinAsync(domain, token, KeyPair.Generate(KeyType.EcP256), _patience);

    private static GrpcChannel Connect(TestTrustDomain domain, X509Svid? svid) => ForeignAgent.Connect(domain, svid);

    private static async Task<StatusCode> OutcomeAsync(Func<Task> work)
    {
        try
        {
            await work();
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
    }

    private static async Task<Reason> ReasonAsync(Func<Task> work)
    {
        var refused = await Assert.ThrowsAsync<RpcException>(work);
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        var details = Signet.Rpc.Wire.GoogleRpc.Status.Parser.ParseFrom(refused.Trailers.Single(entry => entry.Key == "grpc-status-details-bin").ValueBytes);
        return Assert.Single(details.Details).Unpack<PermissionDeniedDetails>().Reason;
    }

    private static RegistrationEntry Entry(TestTrustDomain domain, string path) => new()
    {
        Id = "",
        SpiffeId = SpiffeId.Of(TestTrustDomain.Name, path),
        ParentId = domain.AgentId,
        Selectors = [new Identity.Registration.Selector("unix", "uid:4294967294")],
    };
}
