using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Node;
using Signet.Server.Attestation;
using Signet.Server.Telemetry;
using Signet.Server.Upkeep;
using Signet.Testing;
using Signet.UnitTests.Authority;

namespace Signet.UnitTests.Server.Upkeep;

public sealed class RotationGateTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId One = ReservedIds.Agent(Domain, "join_token", "one");
    private static readonly SpiffeId Two = ReservedIds.Agent(Domain, "join_token", "two");

    private readonly ManualTimeProvider _time = new();
    private readonly Live _live = new();

    [Fact]
    public async Task An_announced_anchor_waits_for_every_agent_and_each_of_its_clients()
    {
        var world = await StartAsync(Agent(One), Agent(Two));
        await world.Authorities.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        Assert.Equal([One.Uri, Two.Uri], await world.WhoAsync());

        world.Says(One, sequence: world.Sequence);
        Assert.Equal([Two.Uri], await world.WhoAsync());

        world.Acknowledgements.Record(Two, new WatchRequest { AppliedBundleSequence = world.Sequence - 1, LaggingClientCount = 3, LaggingClients = { "pid 7 (spiffe://example.org/web)" } });
        var laggard = Assert.Single(await world.LaggardsAsync());
        Assert.Contains("3 of its clients", laggard.Why, StringComparison.Ordinal);
        Assert.Contains("pid 7", laggard.Why, StringComparison.Ordinal);

        world.Says(Two, sequence: world.Sequence);
        Assert.Empty(await world.WhoAsync());
    }

    [Fact]
    public async Task Banned_agents_and_those_whose_certificate_has_expired_are_not_waited_for()
    {
        var world = await StartAsync(Agent(One) with { Banned = true }, Agent(Two) with { NotAfter = _time.GetUtcNow().AddMinutes(5) });
        await world.Authorities.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        Assert.Equal([Two.Uri], await world.WhoAsync());
        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Empty(await world.WhoAsync());
    }

    [Fact]
    public async Task An_acknowledgement_of_the_bundle_before_is_none_of_this_one()
    {
        var world = await StartAsync(Agent(One));
        world.Says(One, sequence: world.Sequence);
        Assert.Empty(world.Acknowledgements.Behind());
        Assert.Equal(TimeSpan.Zero, world.Acknowledgements.Lag);

        await world.Authorities.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        world.Acknowledgements.Published();
        _time.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(TimeSpan.FromSeconds(9), world.Acknowledgements.Lag);
    }

    [Fact]
    public async Task The_old_anchor_waits_for_whoever_uses_a_certificate_below_it()
    {
        var world = await StartAsync(Agent(One));
        var old = world.Authorities.Current.Issuing.Id;
        await world.SwitchAsync();
        world.Says(One, world.Sequence, old);
        Assert.Equal([One.Uri, "the server"], await world.WhoAsync());

        await world.Identity.RenewIfDueAsync(CancellationToken.None);
        world.Says(One, world.Sequence, world.Authorities.Current.Issuing.Id);
        Assert.Empty(await world.WhoAsync());
    }

    [Fact]
    public async Task Certificates_of_those_who_say_nothing_count_until_they_expire()
    {
        var world = await StartAsync(Agent(One), Agent(Two), Agent(Two) with { SpiffeId = ReservedIds.Agent(Domain, "join_token", "banned"), Banned = true });
        await world.SwitchAsync();
        await world.Identity.RenewIfDueAsync(CancellationToken.None);
        world.Says(One, world.Sequence, world.Authorities.Current.Issuing.Id);
        var until = _time.GetUtcNow().AddHours(1);
        _live.Certificates =
        [
            new(One.Uri, 5, until), new(Two.Uri, 2, until), new("uid 0 (pid 12)", 1, until), new(ReservedIds.Server(Domain).Uri, 1, until),
            new(ReservedIds.Agent(Domain, "join_token", "banned").Uri, 1, until),
        ];
        Assert.Equal([Two.Uri, "uid 0 (pid 12)"], await world.WhoAsync());

        // The anchor itself signs authorities of servers below this one; those count too.
        Assert.Equal(world.Authorities.Current.Ledger.BelowAndWithOldAnchors.Order(), _live.Asked.Order());
        Assert.Equal(2, _live.Asked.Count);

        // The log is not looked through at every turn.
        _live.Certificates = [];
        Assert.Equal(2, (await world.WhoAsync()).Count());
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Empty(await world.WhoAsync());
    }

    [Fact]
    public async Task An_agent_that_acknowledges_nothing_has_a_bundle_once_it_fetched_it_and_came_back()
    {
        var world = await StartAsync(Agent(One), Agent(Two));
        var fetches = world.Acknowledgements.Fetches;
        world.Says(Two, world.Sequence);
        Fetch(fetches, One, world.Sequence);
        await world.Authorities.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        var behind = (await world.LaggardsAsync())[0];
        Assert.Equal(One.Uri, behind.Who);
        Assert.Contains("acknowledges nothing", behind.Why, StringComparison.Ordinal);

        Fetch(fetches, One, world.Sequence);
        Assert.Equal([One.Uri, Two.Uri], await world.WhoAsync());
        Fetch(fetches, One, world.Sequence);
        Assert.Equal([Two.Uri], await world.WhoAsync());
        Assert.Equal(1, world.Acknowledgements.CountFetched());

        // An agent that acknowledges has to: what it fetches counts for nothing.
        Fetch(fetches, Two, world.Sequence);
        Fetch(fetches, Two, world.Sequence);
        Assert.Equal([Two.Uri], await world.WhoAsync());
        Assert.Equal(1, world.Acknowledgements.CountFetched());
    }

    [Fact]
    public async Task What_an_agent_says_it_serves_counts_unless_there_is_no_such_bundle()
    {
        var world = await StartAsync(Agent(One));
        await world.Authorities.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        world.Acknowledgements.Stated(One, 0);
        world.Acknowledgements.Stated(One, world.Sequence + 1);
        Assert.Equal([One.Uri], await world.WhoAsync());
        world.Acknowledgements.Stated(One, world.Sequence);
        Assert.Empty(await world.WhoAsync());
    }

    [Fact]
    public async Task Certificates_of_an_agent_that_acknowledges_nothing_are_out_of_use_once_they_were_replaced_and_it_came_back()
    {
        var world = await StartAsync(Agent(One));
        await world.SwitchAsync();
        await world.Identity.RenewIfDueAsync(CancellationToken.None);
        var (fetches, now) = (world.Acknowledgements.Fetches, _time.GetUtcNow());
        Fetch(fetches, One, world.Sequence);
        _live.Certificates = [new(One.Uri, 2, now.AddHours(1))];
        _time.Advance(TimeSpan.FromSeconds(5));
        Fetch(fetches, One, world.Sequence);
        Assert.Equal([One.Uri], await world.WhoAsync());

        // Now both are followed by newer ones, but it has not been back since.
        _live.Certificates = [new(One.Uri, 2, now.AddHours(1)) { ReplacedAt = _time.GetUtcNow() }];
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal([One.Uri], await world.WhoAsync());
        Fetch(fetches, One, world.Sequence);
        Assert.Empty(await world.WhoAsync());

        // A call that failed leaves it open what the agent has.
        fetches.Ended(One, StatusCode.Unavailable);
        Assert.Equal([One.Uri], await world.WhoAsync());

        // Whoever speaks for itself is believed, and nobody else in its place.
        world.Says(One, world.Sequence, [.. world.Authorities.Current.Ledger.BelowAndWithOldAnchors]);
        Fetch(fetches, One, world.Sequence);
        Assert.Equal([One.Uri], await world.WhoAsync());
    }

    [Fact]
    public async Task Under_a_clock_in_doubt_a_rotation_stands_still_unless_it_is_forced()
    {
        var world = await StartAsync(Agent(One));
        var keeper = new AnchorRotationKeeper(world.Authorities, world.Gate, world.Acknowledgements, new ChangeSignal(), _time, NullLogger<AnchorRotationKeeper>.Instance);
        await keeper.StartAsync("uid 0", CancellationToken.None);

        // The clock jumps: the agent looks expired, and nobody seems to be left to wait for.
        _time.Advance(TimeSpan.FromDays(3651));
        await keeper.TurnAsync(isClockSettled: false, CancellationToken.None);
        Assert.Equal(["the server's clock"], keeper.Laggards.Select(laggard => laggard.Who));
        Assert.Equal(AnchorStage.Announced, world.Authorities.Current.Rotation!.Stage);

        await keeper.ForceAsync("uid 0", "the clock is right", CancellationToken.None);
        await Assert.ThrowsAsync<KeyManagerException>(() => keeper.TurnAsync(isClockSettled: false, CancellationToken.None));
    }

    [Fact]
    public async Task An_anchor_near_its_end_is_rotated_without_being_asked_but_not_under_a_clock_in_doubt()
    {
        var world = await StartAsync(Agent(One));
        var keeper = new AnchorRotationKeeper(world.Authorities, world.Gate, world.Acknowledgements, new ChangeSignal(), _time, NullLogger<AnchorRotationKeeper>.Instance);
        await keeper.TurnAsync(isClockSettled: true, CancellationToken.None);
        Assert.Null(world.Authorities.Current.Rotation);
        _time.Advance(TimeSpan.FromDays(3625));
        await keeper.TurnAsync(isClockSettled: false, CancellationToken.None);
        Assert.Null(world.Authorities.Current.Rotation);
        await keeper.TurnAsync(isClockSettled: true, CancellationToken.None);
        Assert.Equal(AnchorStage.Announced, world.Authorities.Current.Rotation!.Stage);
        Assert.Contains("nears its end", world.Authorities.Current.Rotation.StartedBy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_said_of_agents_that_are_gone_is_forgotten()
    {
        var world = await StartAsync(Agent(One));
        world.Says(Two, 1);
        world.Acknowledgements.Prune();
        Assert.False(world.Acknowledgements.HasLeft(Two, new HashSet<string>()));
        world.Says(One, 1);
        world.Acknowledgements.Prune();
        Assert.True(world.Acknowledgements.HasLeft(One, new HashSet<string>()));
    }

    private static void Fetch(BundleFetches fetches, SpiffeId agent, ulong sequence)
    {
        fetches.Began(agent);
        fetches.Answered(agent, sequence);
        fetches.Ended(agent, StatusCode.OK);
    }

    private AttestedAgent Agent(SpiffeId id) => new(id, "join_token", [], "aa", null, _time.GetUtcNow().AddHours(1), _time.GetUtcNow(), Banned: false);

    private async Task<World> StartAsync(params AttestedAgent[] agents)
    {
        var journal = new MemoryJournal();
        var authorities = await AuthorityRotation.ResumeAsync(new AuthorityPlan { TrustDomain = Domain }, new MemoryKeyManager(), journal, _time, CancellationToken.None);
        var identity = new ServerIdentity(Domain, authorities, new SvidIssuer(authorities, journal, _time), TimeSpan.FromHours(1), _time, () => 0.5);
        await identity.RenewIfDueAsync(CancellationToken.None);
        var directory = await AgentDirectory.LoadAsync(new Agents(agents), CancellationToken.None);
        var acknowledgements = new Acknowledgements(authorities, directory, new ServerMetrics(), _time);
        return new World(authorities, identity, acknowledgements, new RotationGate(acknowledgements, directory, _live, identity, Domain, _time));
    }

    private sealed record World(AuthorityRotation Authorities, ServerIdentity Identity, Acknowledgements Acknowledgements, RotationGate Gate)
    {
        public ulong Sequence => Authorities.Current.Bundle.Sequence!.Value;

        public Task<IReadOnlyList<Laggard>> LaggardsAsync() => Gate.LaggardsAsync(Authorities.Current, Authorities.Current.Rotation!.Stage, CancellationToken.None);

        public async Task<IEnumerable<string>> WhoAsync() => (await LaggardsAsync()).Select(laggard => laggard.Who);

        public async Task SwitchAsync()
        {
            await Authorities.AnnounceAnchorAsync("uid 0", CancellationToken.None);
            await Authorities.SwitchAnchorAsync(CancellationToken.None);
        }

        public void Says(SpiffeId agent, ulong sequence, params string[] issuers)
        {
            var request = new WatchRequest { AppliedBundleSequence = sequence };
            request.IssuersInUse.AddRange(issuers);
            Acknowledgements.Record(agent, request);
        }
    }

    private sealed class Agents(AttestedAgent[] agents) : IAgentStore
    {
        public Task<IReadOnlyList<AttestedAgent>> LoadAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<AttestedAgent>>(agents);

        public Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken) => Task.CompletedTask;

        public Task DeleteAsync(IReadOnlyList<SpiffeId> agents, CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class Live : ILiveCertificates
    {
        public IReadOnlyList<LiveCertificates> Certificates { get; set; } = [];

        public IReadOnlyCollection<string> Asked { get; private set; } = [];

        public Task<IReadOnlyList<LiveCertificates>> LiveAsync(IReadOnlyCollection<string> authorityIds, DateTimeOffset now, CancellationToken cancellationToken)
        {
            Asked = authorityIds;
            return Task.FromResult(Certificates);
        }
    }
}
