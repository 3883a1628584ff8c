using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Attestation;

namespace Signet.UnitTests.Server.Attestation;

public sealed class AgentDirectoryTests
{
    private static readonly SpiffeId Id = SpiffeId.Parse("spiffe://example.org/spire/agent/http_challenge/node-1");

    [Fact]
    public async Task Of_many_that_come_first_at_once_one_is_added()
    {
        using var agents = await AgentDirectory.LoadAsync(new Store(), CancellationToken.None);
        var added = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => agents.TryAddAsync(Agent($"{i}"), CancellationToken.None))));
        Assert.Equal($"{Array.IndexOf(added, true)}", agents.Find(Id)!.SerialHex);
        Assert.Single(added, true);
    }

    [Fact]
    public async Task Who_is_known_is_not_added_and_stays_as_it_was_until_it_is_forgotten()
    {
        using var agents = await AgentDirectory.LoadAsync(new Store(), CancellationToken.None);
        Assert.True(await agents.TryAddAsync(Agent("1"), CancellationToken.None));
        await agents.BanAsync(Id, CancellationToken.None);
        Assert.False(await agents.TryAddAsync(Agent("2"), CancellationToken.None));
        Assert.Equal(("1", true), (agents.Find(Id)!.SerialHex, agents.Find(Id)!.Banned));

        await agents.ForgetAsync(Id, CancellationToken.None);
        Assert.True(await agents.TryAddAsync(Agent("3"), CancellationToken.None));
        Assert.Equal(("3", false), (agents.Find(Id)!.SerialHex, agents.Find(Id)!.Banned));
    }

    [Fact]
    public async Task What_the_store_did_not_keep_is_not_added()
    {
        using var agents = await AgentDirectory.LoadAsync(new Store { Fails = true }, CancellationToken.None);
        await Assert.ThrowsAsync<IOException>(() => agents.TryAddAsync(Agent("1"), CancellationToken.None));
        Assert.Null(agents.Find(Id));
    }

    [Fact]
    public async Task Only_those_that_expired_long_ago_can_prove_themselves_again_and_are_not_banned_are_purged()
    {
        var (store, end) = (new Store(), DateTimeOffset.UnixEpoch.AddDays(100));
        using var agents = await AgentDirectory.LoadAsync(store, CancellationToken.None);
        foreach (var (name, notAfter, canReattest, banned) in new[] { ("gone", -1, true, false), ("fresh", 0, true, false), ("once-only", -1, false, false), ("banned", -1, true, true) })
        {
            await agents.SaveAsync(Agent(name) with { SpiffeId = Named(name), NotAfter = end.AddSeconds(notAfter), CanReattest = canReattest, Banned = banned }, CancellationToken.None);
        }

        var changed = new List<SpiffeId>();
        agents.Changed = changed.Add;
        Assert.Equal(1, await agents.PurgeAsync(end, CancellationToken.None));
        Assert.Equal([Named("gone")], store.Deleted);
        Assert.Equal([Named("gone")], changed);
        Assert.Equal(["banned", "fresh", "once-only"], agents.Agents.Select(agent => agent.SerialHex).Order());
        Assert.Equal(0, await agents.PurgeAsync(end, CancellationToken.None));

        static SpiffeId Named(string name) => SpiffeId.Parse($"spiffe://example.org/spire/agent/x509pop/{name}");
    }

    private static AttestedAgent Agent(string serial) =>
        new(Id, "http_challenge", [new Selector("http_challenge", "hostname:node-1")], serial, PendingHex: null, DateTimeOffset.UnixEpoch.AddHours(1), DateTimeOffset.UnixEpoch, Banned: false);

    private sealed class Store : IAgentStore
    {
        public bool Fails { get; init; }

        public List<SpiffeId> Deleted { get; } = [];

        public Task<IReadOnlyList<AttestedAgent>> LoadAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<AttestedAgent>>([]);

        public Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken) => Fails ? Task.FromException(new IOException("the disk is full")) : Task.CompletedTask;

        public Task DeleteAsync(IReadOnlyList<SpiffeId> ids, CancellationToken cancellationToken)
        {
            Deleted.AddRange(ids);
            return Task.CompletedTask;
        }
    }
}
