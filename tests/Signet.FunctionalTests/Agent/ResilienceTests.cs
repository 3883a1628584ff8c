using System.Collections.Immutable;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent;
using Signet.Agent.Attestation;
using Signet.Agent.Identities;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Agent;

/// <summary>The agent's loops against a server that fails in one thing at a time, on virtual time.</summary>
public sealed class ResilienceTests : IAsyncDisposable
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly TestAuthority _authority = new(Start);
    private readonly ManualTimeProvider _time = new(Start);
    private readonly TestFolder _folder = new();
    private readonly RememberedLog _log = new();
    private readonly ClientLedger _clients = new();
    private readonly AgentMetrics _metrics = new();
    private FakeNodeServer _server = null!;
    private AgentIdentity _identity = null!;
    private ServerLink _link = null!;
    private NodeIdentities _node = null!;

    [Fact]
    public async Task An_agent_that_cannot_renew_itself_goes_on_following_its_server_while_its_own_SVID_is_valid()
    {
        await StartAsync();
        _server.Push(_server.Entry("a"));
        await UntilAsync(() => Held.ContainsKey("a"), "the first SVID");
        _server.Renewing = new Status(StatusCode.Unavailable, "no disk");

        _time.Advance(TimeSpan.FromMinutes(35));
        await UntilAsync(() => _server.Renewals > 1, "two attempts to renew", passing: true);
        var streams = _server.Streams;
        _server.Push(_server.Entry("a"), _server.Entry("b"));
        await UntilAsync(() => Held.ContainsKey("b"), "an SVID of an entry made meanwhile");
        Assert.Equal(streams, _server.Streams);
        Assert.Empty(_node.Sync.Problem);
        Assert.Contains("no disk", _log.WithId(3500)[0], StringComparison.Ordinal);
        Assert.Contains("no disk", _node.Membership.Problem, StringComparison.Ordinal);

        _server.Renewing = null;
        var before = _identity.Credential;
        await UntilAsync(() => _identity.Credential != before && _server.Streams == streams + 1, "the renewal, and a stream under the new SVID", passing: true);
        Assert.Empty(_node.Membership.Problem);
        Assert.Equal(1, _server.Attestations);
    }

    [Fact]
    public async Task An_agent_whose_own_SVID_has_expired_attests_again_by_itself_and_meanwhile_serves_what_is_valid()
    {
        await StartAsync();
        _server.Push(_server.Entry("a"));
        await UntilAsync(() => Held.ContainsKey("a"), "the first SVID");
        _server.Renewing = new Status(StatusCode.Unavailable, "no disk");
        _server.Ttl = TimeSpan.FromHours(4);
        _time.Advance(TimeSpan.FromMinutes(35));
        await UntilAsync(() => Held["a"].Svid.NotAfter > Start.AddHours(3), "a longer SVID for the workload", passing: true);

        _time.Advance(TimeSpan.FromMinutes(50) - (_time.GetUtcNow() - Start));
        await UntilAsync(() => _log.WithId(3501).Count > 0, "the word that it becomes urgent", passing: true);
        _time.Advance(TimeSpan.FromMinutes(61) - (_time.GetUtcNow() - Start));
        Assert.True(Held["a"].IsValid(_time.GetUtcNow()));
        await UntilAsync(() => _server.Attestations == 2 && _identity.IsValid(_time.GetUtcNow()), "another attestation", passing: true);
        _server.Push(_server.Entry("a"), _server.Entry("b"));
        await UntilAsync(() => Held.ContainsKey("b"), "a stream again", passing: true);
    }

    [Fact]
    public async Task A_clock_that_jumps_ahead_renews_everything_at_once()
    {
        await StartAsync();
        _server.Push(_server.Entry("a"));
        await UntilAsync(() => Held.ContainsKey("a"), "the first SVID");
        var (own, svid) = (_identity.Credential, Held["a"]);
        _time.Jump(_time.GetUtcNow().AddMinutes(40));
        await UntilAsync(() => _identity.Credential != own && Held.GetValueOrDefault("a") is { } now && now.Svid != svid.Svid, "new SVIDs for agent and workload", passing: true);
        Assert.Single(_log.WithId(3502));
    }

    [Fact]
    public async Task Many_SVIDs_are_asked_for_in_batches_that_shrink_when_the_server_has_enough_and_grow_again()
    {
        await StartAsync();
        _server.Signing = count => count > 50 ? new Status(StatusCode.ResourceExhausted, "too many") : null;
        _server.Push([.. Enumerable.Range(0, 450).Select(number => _server.Entry($"{number}"))]);
        await UntilAsync(() => Held.Count == 450, "450 SVIDs", passing: true);
        Assert.Equal([200, 100, 50, 100, 50], _server.Batches.Take(5));
        Assert.All(_server.Batches, batch => Assert.InRange(batch, 1, 200));
    }

    [Fact]
    public async Task Workloads_that_ask_again_and_again_do_not_make_the_agent_ask_a_server_in_trouble_any_more_often()
    {
        await StartAsync();
        _server.Signing = _ => new Status(StatusCode.Unavailable, "no disk");
        var entry = _server.Entry("a");
        _server.Push(entry);
        await UntilAsync(() => !_server.Batches.IsEmpty && _log.WithId(3011).Count == _server.Batches.Count, "the first attempt");
        for (var i = 0; i < 50; i++)
        {
            _node.Cache.Use([entry]);
        }

        Assert.Single(_server.Batches);
        _server.Signing = _ => null;
        await UntilAsync(() => Held.ContainsKey("a"), "the SVID, after the pause", passing: true);
    }

    [Fact]
    public async Task With_less_room_than_entries_only_what_is_used_gets_an_SVID_and_again_when_it_is_used_again()
    {
        await StartAsync(config => config with { Cache = config.Cache with { Svids = 3 } });
        var entries = Enumerable.Range(0, 20).Select(number => _server.Entry($"{number}", new Selector("unix", $"uid:{number}"))).ToArray();
        _server.Push(entries);
        await UntilAsync(() => _node.Cache.Current.View.Entries.Length == 20, "the entries");
        Assert.Empty(Held);

        using (_clients.Open(1, "stream", reports: false, new HashSet<Selector> { new("unix", "uid:7") }))
        {
            _node.Cache.Use([entries[7]]);
            await UntilAsync(() => Held.ContainsKey("7"), "what a stream waits for");
            foreach (var number in new[] { 1, 2, 3, 4 })
            {
                _node.Cache.Use([entries[number]]);
                await UntilAsync(() => Held.ContainsKey($"{number}"), $"what is used: {number}");
                Assert.InRange(Held.Count, 1, 3);
            }

            Assert.Equal(["3", "4", "7"], Held.Keys.Order(StringComparer.Ordinal));
            _node.Cache.Use([entries[1]]);
            await UntilAsync(() => Held.ContainsKey("1"), "what was let go and is used again");
            Assert.True(Held.ContainsKey("7"));
        }
    }

    [Fact]
    public async Task An_agent_that_knows_none_of_the_present_anchors_begins_anew_from_a_bundle_that_was_given_since_and_from_no_other()
    {
        await StartAsync();
        _server.Push(_server.Entry("a"));
        await UntilAsync(() => Held.ContainsKey("a"), "the first SVID");
        var others = new TestAuthority(Start);
        await using var other = await FakeNodeServer.StartAsync(others, _time);
        using var link = new ServerLink(_identity, "127.0.0.1", other.EndPoint.Port, new SvidKeys(Signet.Identity.X509.KeyType.EcP256), _time);
        var file = _folder.File("given.pem");

        // 1. The file that has counted, and one that does not prove this server, are no help.
        await File.WriteAllTextAsync(file, _authority.Bundle.ToPem());
        var bootstrap = new Bootstrap(file, _folder.Path, LoggerFactory.Create(builder => builder.AddProvider(new RememberedLog.Provider(_log))).CreateLogger<Bootstrap>());
        bootstrap.NoteFirst();
        _identity.Bootstrap = bootstrap;
        await Assert.ThrowsAsync<RpcException>(() => link.RenewAsync(CancellationToken.None));
        await File.WriteAllTextAsync(file, new TestAuthority(Start).Bundle.ToPem());
        await Assert.ThrowsAsync<RpcException>(() => link.RenewAsync(CancellationToken.None));
        Assert.NotNull(_identity.Credential);
        Assert.Empty(_log.WithId(3505));

        // 2. One that was given since and proves it is; and what stands on nothing any more is dropped.
        await File.WriteAllTextAsync(file, others.Bundle.ToPem());
        var svid = await link.AttestAsync(new JoinTokenAttestor(new Secret("token")), CancellationToken.None);
        Assert.Equal(others.Issuing, svid.Issuer);
        Assert.Equal([others.Anchor], _identity.Bundles.Find(_authority.TrustDomain)!.Authorities);
        Assert.Single(_log.WithId(3505));

        // 3. It has counted.
        bootstrap.Offer(_ => throw new InvalidOperationException("it was offered again"));
    }

    [Fact]
    public async Task After_an_outage_agents_come_back_spread_over_the_time_that_the_server_named()
    {
        await StartAsync(chance: () => 0.5);
        _server.SpreadMilliseconds = 20_000;
        _server.Push(_server.Entry("a"));
        await UntilAsync(() => _node.Sync.Spread == TimeSpan.FromSeconds(20), "the server's word");
        var streams = _server.Streams;
        _server.DropStreams();
        await UntilAsync(() => _node.Sync.Problem.Length > 0, "the loss of the stream");
        var lost = _time.GetUtcNow();
        await UntilAsync(() => _server.Streams == streams + 1, "a new stream", passing: true);
        Assert.True(_time.GetUtcNow() - lost >= TimeSpan.FromSeconds(10), "half of the time, as was drawn");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var part in _node.Parts)
        {
            await part.DisposeAsync();
        }

        _link.Dispose();
        _metrics.Dispose();
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    private ImmutableDictionary<string, HeldSvid> Held => _node.Cache.Current.Held;

    private async Task StartAsync(Func<AgentConfig, AgentConfig>? configure = null, Func<double>? chance = null)
    {
        _server = await FakeNodeServer.StartAsync(_authority, _time);
        var draw = chance ?? (() => 0.25);
        _identity = AgentIdentity.TryLoad(_authority.TrustDomain, _folder.Path, _authority.Bundle.Authorities, new RenewalRule(), draw, out var problem) ?? throw new InvalidOperationException(problem);
        _link = new ServerLink(_identity, "127.0.0.1", _server.EndPoint.Port, new SvidKeys(Signet.Identity.X509.KeyType.EcP256), _time);
        var config = new AgentConfig
        {
            TrustDomain = _authority.TrustDomain,
            Server = new System.Net.DnsEndPoint("127.0.0.1", _server.EndPoint.Port),
            Attestor = new AttestorConfig.JoinToken(new Secret("token")),
            BootstrapBundle = null,
            DataDir = _folder.Path,
            Socket = _folder.File("agent.sock"),
            Metrics = new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0),
        };
        var logs = LoggerFactory.Create(builder => builder.AddProvider(new RememberedLog.Provider(_log)));
        _node = NodeIdentities.Build((configure ?? (same => same))(config), _identity, _link, _clients, _metrics, _time, draw, logs);
        foreach (var part in _node.Parts)
        {
            await part.StartAsync(CancellationToken.None);
        }

        await UntilAsync(() => _identity.IsValid(_time.GetUtcNow()) && _server.Streams > 0, "the agent has joined");
    }

    private Task UntilAsync(Func<bool> condition, string what, bool passing = false) =>
        passing ? Eventually.IsTrueAsync(condition, what, passing: _time) : Eventually.IsTrueAsync(condition, what);
}
