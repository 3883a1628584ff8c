using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
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
public sealed class AgentApiTests(SharedDomain shared) : IClassFixture<SharedDomain>, IAsyncDisposable
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    private TestTrustDomain Domain => shared.Domain;

    public ValueTask DisposeAsync() => shared.ForgetEntriesAsync();

    [Fact]
    public async Task Two_that_join_at_once_with_one_token_do_not_both_join()
    {
        using var admin = Domain.Admin();
        for (var round = 0; round < 5; round++)
        {
            var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => OutcomeAsync(() => JoinAsync(Domain, token.Token)))));
            Assert.Single(outcomes, StatusCode.OK);
            Assert.All(outcomes.Where(outcome => outcome != StatusCode.OK), outcome => Assert.Equal(StatusCode.PermissionDenied, outcome));
        }
    }

    [Fact]
    public async Task An_agent_that_lost_its_answer_asks_again_with_the_same_key_and_another_key_does_not_get_in()
    {
        using var admin = Domain.Admin();
        var token = (await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience)).Token;
        var key = KeyPair.Generate(KeyType.EcP256);
        var first = await ForeignAgent.JoinAsync(Domain, token, key, _patience);
        var second = await ForeignAgent.JoinAsync(Domain, token, key, _patience);
        Assert.Equal(first.Id, second.Id);
        Assert.NotEqual(first.Leaf.SerialHex, second.Leaf.SerialHex);
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => JoinAsync(Domain, token)));

        // The first answer may have arrived after all; it is worth nothing once the second was used.
        using var one = Connect(Domain, first);
        using var other = Connect(Domain, second);
        await new AgentApi.AgentClient(one).PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience);
        await new AgentApi.AgentClient(other).PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience);
        Assert.Equal(Reason.AgentNotActive, await ReasonAsync(() => new AgentApi.AgentClient(one).PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience).ResponseAsync));

        // A restart does not open the token to others, and whoever was evicted does not come back by it.
        await Domain.StopServerAsync();
        await Domain.StartServerAsync();
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => JoinAsync(Domain, token)));
        await ForeignAgent.JoinAsync(Domain, token, key, _patience);
        await admin.EvictAgentAsync(first.Id, _patience);
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => ForeignAgent.JoinAsync(Domain, token, key, _patience)));
    }

    [Fact]
    public async Task A_banned_agent_is_told_so_and_stays_out_until_it_is_evicted()
    {
        using var admin = Domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        var svid = await JoinAsync(Domain, token.Token);
        using var channel = Connect(Domain, svid);
        var agent = new AgentApi.AgentClient(channel);
        await agent.PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience);

        await admin.BanAgentAsync(svid.Id, _patience);
        Assert.Equal(Reason.AgentBanned, await ReasonAsync(() => agent.PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience).ResponseAsync));
        using var local = GrpcChannel.ForUnixSocket(Domain.ServerSocket, TimeProvider.System);
        await new AgentApi.AgentClient(local).CreateJoinTokenAsync(new CreateJoinTokenRequest { Ttl = 60, Token = token.Token }, cancellationToken: _patience);
        Assert.Equal(Reason.AgentBanned, await ReasonAsync(() => JoinAsync(Domain, token.Token)));

        await Domain.StopServerAsync();
        await Domain.StartServerAsync();
        Assert.True((await admin.AgentAsync(svid.Id, _patience)).Banned, "a ban outlives a restart");

        await admin.EvictAgentAsync(svid.Id, _patience);
        Assert.Equal(Reason.AgentNotAttested, await ReasonAsync(() => agent.PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience).ResponseAsync));
        await JoinAsync(Domain, token.Token);
        Assert.False((await admin.AgentAsync(svid.Id, _patience)).Banned);
    }

    [Fact]
    public async Task A_server_below_gets_an_authority_by_its_downstream_entry_and_what_that_signs_is_trusted()
    {
        using var admin = Domain.Admin();
        var below = await admin.MintAsync(SpiffeId.Parse("spiffe://example.org/below"), TimeSpan.FromMinutes(10), [], _patience);
        using var channel = Connect(Domain, below);
        var client = new SVID.SVIDClient(channel);
        var key = KeyPair.Generate(KeyType.EcP256);
        var request = new NewDownstreamX509CARequest { Csr = ByteString.CopyFrom(SigningRequest.Create(key)), PreferredTtl = 3600 };
        Assert.Equal(StatusCode.PermissionDenied, await OutcomeAsync(() => client.NewDownstreamX509CAAsync(request, cancellationToken: _patience).ResponseAsync));

        await admin.CreateEntryAsync(Entry(Domain, "/below") with { Downstream = true }, _patience);
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
        using var admin = Domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(Domain, await JoinAsync(Domain, token.Token));
        var entry = await admin.CreateEntryAsync(Entry(Domain, "/web") with { ParentId = token.AgentId }, _patience);
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
        using var admin = Domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(Domain, await JoinAsync(Domain, token.Token));
        var entry = await admin.CreateEntryAsync(Entry(Domain, "/web") with { ParentId = token.AgentId }, _patience);
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

    [Theory]
    [InlineData("an authority", "it asks for an authority (CA:TRUE)")]
    [InlineData("two identities", "CSR names 2 URIs; at most one SPIFFE ID is expected")]
    [InlineData("another trust domain", "spiffe://other.org/web is not in trust domain example.org")]
    [InlineData("no SPIFFE ID", "CSR: ")]
    [InlineData("a weak key", "the least is 2048")]
    [InlineData("extensions without end", "more than 64 extensions")]
    public async Task A_CSR_that_asks_for_what_nobody_may_have_is_refused_wherever_one_is_taken_and_changes_nothing(string what, string reason)
    {
        using var admin = Domain.Admin();
        var token = (await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience)).Token;
        var csr = HostileRequest(what);
        await RefusedAsync(() => ForeignAgent.JoinAsync(Domain, token, csr, _patience));
        var svid = await JoinAsync(Domain, token);
        using var channel = Connect(Domain, svid);
        using var local = GrpcChannel.ForUnixSocket(Domain.ServerSocket, TimeProvider.System);
        var bytes = ByteString.CopyFrom(csr);
        await RefusedAsync(() => new AgentApi.AgentClient(channel).RenewAgentAsync(new RenewAgentRequest { Params = new AgentX509SVIDParams { Csr = bytes } }, cancellationToken: _patience).ResponseAsync);
        await RefusedAsync(() => new SVID.SVIDClient(local).MintX509SVIDAsync(new MintX509SVIDRequest { Csr = bytes }, cancellationToken: _patience).ResponseAsync);
        var entry = await admin.CreateEntryAsync(Entry(Domain, "/web") with { ParentId = svid.Id }, _patience);
        var request = new BatchNewX509SVIDRequest { Params = { new NewX509SVIDParams { EntryId = entry.Id, Csr = bytes } } };
        var result = Assert.Single((await new SVID.SVIDClient(channel).BatchNewX509SVIDAsync(request, cancellationToken: _patience)).Results);
        Assert.Equal(((int)StatusCode.InvalidArgument, null), (result.Status.Code, result.Svid));
        Assert.Contains(reason, result.Status.Message, StringComparison.Ordinal);
        Assert.Equal(svid.Leaf.SerialHex, (await admin.AgentAsync(svid.Id, _patience)).Serial);

        async Task RefusedAsync(Func<Task> ask)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(ask);
            Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
            Assert.Contains(reason, refused.Status.Detail, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_agent_gets_nothing_for_entries_of_another_node()
    {
        using var admin = Domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(Domain, await JoinAsync(Domain, token.Token));
        var others = await admin.CreateEntryAsync(Entry(Domain, "/web"), _patience);
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
        using var admin = Domain.Admin();
        using var local = GrpcChannel.ForUnixSocket(Domain.ServerSocket, TimeProvider.System);
        var entries = new EntryApi.EntryClient(local);
        var wire = Entry(Domain, "/web").ToWire();
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
        using var admin = Domain.Admin();
        var wrong = Entry(Domain, "/x") with { SpiffeId = SpiffeId.Parse($"spiffe://example.org{id}"), ParentId = SpiffeId.Parse($"spiffe://example.org{parent}") };
        var refused = await Assert.ThrowsAsync<RpcException>(() => admin.CreateEntryAsync(wrong, _patience));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains(reason, refused.Status.Detail);
        Assert.Equal(0, await admin.CountEntriesAsync(null, null, _patience));
    }

    [Fact]
    public async Task Entries_that_are_each_others_parents_reach_nobody_and_stop_nothing()
    {
        using var admin = Domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        using var channel = Connect(Domain, await JoinAsync(Domain, token.Token));
        SpiffeId Id(string path) => SpiffeId.Of(TestTrustDomain.Name, path);
        await admin.CreateEntryAsync(Entry(Domain, "/a") with { ParentId = Id("/b") }, _patience);
        await admin.CreateEntryAsync(Entry(Domain, "/b") with { ParentId = Id("/c") }, _patience);
        var last = await admin.CreateEntryAsync(Entry(Domain, "/c") with { ParentId = Id("/a") }, _patience);
        var entries = new EntryApi.EntryClient(channel);
        Assert.Empty((await entries.GetAuthorizedEntriesAsync(new GetAuthorizedEntriesRequest(), cancellationToken: _patience)).Entries);

        await admin.CreateEntryAsync(Entry(Domain, "/a") with { ParentId = token.AgentId }, _patience);
        Assert.Equal(4, (await entries.GetAuthorizedEntriesAsync(new GetAuthorizedEntriesRequest(), cancellationToken: _patience)).Entries.Count);
        await admin.DeleteEntryAsync(last.Id, _patience);
    }

    [Fact]
    public async Task A_stranger_is_told_nothing_beyond_that_a_call_is_not_open()
    {
        using var channel = Connect(Domain, svid: null);
        var refused = await Assert.ThrowsAsync<RpcException>(() => new EntryApi.EntryClient(channel).ListEntriesAsync(new ListEntriesRequest(), cancellationToken: _patience).ResponseAsync);
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Equal("this call is not open to you", refused.Status.Detail);
    }

    private Task<X509Svid> JoinAsync(TestTrustDomain domain, string token) => ForeignAgent.JoinAsync(domain, token, KeyPair.Generate(KeyType.EcP256), _patience);

    private static GrpcChannel Connect(TestTrustDomain domain, X509Svid? svid) => ForeignAgent.Connect(domain, svid);

    private static byte[] HostileRequest(string what)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var weak = RSA.Create(1024);
        var request = what == "a weak key"
            ? new CertificateRequest("CN=web", weak, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest("CN=web", key, HashAlgorithmName.SHA256);
        string[] uris = what switch
        {
            "two identities" => ["spiffe://example.org/web", "spiffe://example.org/db"],
            "another trust domain" => ["spiffe://other.org/web"],
            "no SPIFFE ID" => ["https://example.org/web"],
            _ => ["spiffe://example.org/web"],
        };
        var names = new SubjectAlternativeNameBuilder();
        Array.ForEach(uris, uri => names.AddUri(new Uri(uri)));
        request.CertificateExtensions.Add(names.Build());
        if (what == "an authority")
        {
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        }

        for (var i = 0; i < 70 && what == "extensions without end"; i++)
        {
            request.CertificateExtensions.Add(new X509Extension(new Oid($"1.3.6.1.4.1.32473.{i}"), [5, 0], critical: true));
        }

        return request.CreateSigningRequest();
    }

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
