using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
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

        // The log is not looked through at every turn.
        _live.Certificates = [];
        Assert.Equal(2, (await world.WhoAsync()).Count());
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Empty(await world.WhoAsync());
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

        public Task DeleteAsync(IReadOnlyList<SpiffeId> ids, CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class Live : ILiveCertificates
    {
        public IReadOnlyList<LiveCertificates> Certificates { get; set; } = [];

        public Task<IReadOnlyList<LiveCertificates>> LiveAsync(IReadOnlyCollection<string> authorityIds, DateTimeOffset now, CancellationToken cancellationToken) => Task.FromResult(Certificates);
    }
}
