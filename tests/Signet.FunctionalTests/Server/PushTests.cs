using System.Diagnostics.Metrics;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Client;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Node;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Testing;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;

namespace Signet.FunctionalTests.Server;

/// <summary>What changes reaches the agents that it concerns.</summary>
public sealed class PushTests(SharedDomain shared) : IClassFixture<SharedDomain>, IAsyncDisposable
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    public ValueTask DisposeAsync() => shared.ForgetEntriesAsync();

    [Fact]
    public async Task An_agent_that_reads_nothing_holds_no_other_back_and_gets_what_is_there_once_it_reads()
    {
        var domain = shared.Domain;
        using var slow = await ForeignAgent.JoinAsync(domain, _patience);
        using var channel = slow.Open();
        using var watch = new Node.NodeClient(channel).Watch(cancellationToken: _patience);
        Assert.True(await watch.ResponseStream.MoveNext(_patience));

        // Much more than any window between the two holds.
        using var admin = domain.Admin();
        var names = Enumerable.Range(0, 60).Select(i => $"{new string('a', 60)}.{new string('b', 60)}.{new string('c', 60)}.n{i}.example.org").ToArray();
        RegistrationEntry[] large = [.. Enumerable.Range(0, 600).Select(i => Entry($"/large/{i}", slow.Id) with { DnsNames = [.. names] })];
        foreach (var (number, some) in large.Chunk(100).Index())
        {
            await admin.ApplyAsync($"test-{number}", some, Signet.Server.Registration.ApplyMode.Carefully, _patience);
        }

        await Eventually.IsTrueAsync(() => domain.ServerHost.Pushes.Lag > TimeSpan.FromMilliseconds(200), "a stream that does not go on");
        var mine = await domain.RegisterAsync("/mine");
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Any(entry => entry.Id == mine.Id), "the other agent's entry");
        Assert.True(domain.ServerHost.Pushes.Lag > TimeSpan.FromMilliseconds(200), "the slow one is behind still");

        var (seen, gone) = (new HashSet<string>(StringComparer.Ordinal), new List<string>());
        while (seen.Count < large.Length && await watch.ResponseStream.MoveNext(_patience))
        {
            seen.UnionWith(watch.ResponseStream.Current.Entries.Select(entry => entry.Id));
            gone.AddRange(watch.ResponseStream.Current.RemovedEntries);
        }

        Assert.Equal((large.Length, 0), (seen.Count, gone.Count));

        // So much goes in several messages to whoever lists, and to an agent of another make that synchronises.
        Assert.Equal(large.Length + 1, (await admin.EntriesAsync(null, null, _patience)).Count);
        using var sync = new EntryApi.EntryClient(channel).SyncAuthorizedEntries(cancellationToken: _patience);
        await sync.RequestStream.WriteAsync(new SyncAuthorizedEntriesRequest(), _patience);
        var revisions = await ReadAsync(sync.ResponseStream, message => message.EntryRevisions.Select(revision => revision.Id));
        await sync.RequestStream.WriteAsync(new SyncAuthorizedEntriesRequest { Ids = { revisions } }, _patience);
        Assert.Equal(seen.Order(StringComparer.Ordinal), (await ReadAsync(sync.ResponseStream, message => message.Entries.Select(entry => entry.Id))).Order(StringComparer.Ordinal));
        await Eventually.IsTrueAsync(() => domain.ServerHost.Pushes.Lag == TimeSpan.Zero, "nothing on its way");
    }

    [Fact]
    public async Task More_entries_than_one_message_takes_reach_the_agent_and_one_of_them_goes_alone()
    {
        var domain = shared.Domain;
        using var admin = domain.Admin();
        var file = Path.Combine(domain.Folder, "many.yaml");
        await File.WriteAllLinesAsync(
            file,
            ["entries:", .. Enumerable.Range(0, 1201).Select(i => $"- {{spiffeId: spiffe://example.org/w/{i}, parentId: {domain.AgentId}, selectors: [unix:uid:{100_000 + i}]}}")],
            _patience);
        var entries = Signet.Server.Registration.Desired.DesiredEntries.Read([("many", await File.ReadAllTextAsync(file, _patience))], new(TestTrustDomain.Name, "c")).Entries;
        await admin.ApplyAsync("test", entries, Signet.Server.Registration.ApplyMode.Carefully, _patience);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 1201, "1201 entries at the agent");

        var one = (await admin.EntriesAsync(SpiffeId.Parse("spiffe://example.org/w/7"), null, _patience)).Single();
        await admin.DeleteEntryAsync(one.Id, _patience);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 1200, "one entry less");
        Assert.DoesNotContain(domain.AgentView.Entries, entry => entry.Id == one.Id);
    }

    [Fact]
    public async Task Entries_below_an_entry_reach_the_agent_whichever_comes_first()
    {
        var domain = shared.Domain;
        using var admin = domain.Admin();
        var below = await admin.CreateEntryAsync(Entry("/below", SpiffeId.Parse("spiffe://example.org/group")), _patience);
        await domain.RegisterAsync("/group");
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Any(entry => entry.Id == below.Id), "the entry below");
        var later = await admin.CreateEntryAsync(Entry("/later", SpiffeId.Parse("spiffe://example.org/below")), _patience);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Any(entry => entry.Id == later.Id), "the entry below that");
        await admin.DeleteEntryAsync(below.Id, _patience);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 1, "neither of them");
    }

    [Fact]
    public async Task An_entry_of_another_agent_does_not_reach_this_one()
    {
        var domain = shared.Domain;
        using var admin = domain.Admin();
        await admin.CreateEntryAsync(Entry("/other", ReservedIds.Agent(TestTrustDomain.Name, "join_token", "other")), _patience);
        var mine = await domain.RegisterAsync("/mine");
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length > 0, "an entry");
        Assert.Equal(mine.Id, Assert.Single(domain.AgentView.Entries).Id);
    }

    [Fact]
    public async Task How_long_a_change_took_is_measured_once_for_each_agent_that_it_concerns()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        using var admin = domain.Admin();
        var took = new System.Collections.Concurrent.ConcurrentQueue<double>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "signet.server.push.duration" && instrument.Meter.Scope == domain.ServerHost.Pushes)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, value, _, _) => took.Enqueue(value));
        listener.Start();
        await admin.CreateEntryAsync(Entry("/other", ReservedIds.Agent(TestTrustDomain.Name, "join_token", "other")), _patience);
        await domain.RegisterAsync("/mine");
        await Eventually.IsTrueAsync(() => !took.IsEmpty && domain.AgentView.Entries.Length == 1, "the change at the agent");
        Assert.Single(took);
        await Eventually.IsTrueAsync(() => domain.ServerHost.Pushes.Lag == TimeSpan.Zero, "nothing on its way");
    }

    [Fact]
    public async Task An_alias_that_expires_takes_what_was_reached_through_it_along()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var soon = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.AddSeconds(5).ToUnixTimeSeconds());
        var token = domain.AgentId.Path[(domain.AgentId.Path.LastIndexOf('/') + 1)..];
        await admin.CreateEntryAsync(
            Entry("/cluster", ReservedIds.Server(TestTrustDomain.Name)) with { Selectors = [new("join_token", token)], ExpiresAt = soon }, _patience);
        await admin.CreateEntryAsync(Entry("/db", SpiffeId.Parse("spiffe://example.org/cluster")), _patience);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 1, "the entry below the alias");
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 0, "nothing once the alias has expired");
    }

    private async Task<List<string>> ReadAsync(IAsyncStreamReader<SyncAuthorizedEntriesResponse> stream, Func<SyncAuthorizedEntriesResponse, IEnumerable<string>> ids)
    {
        var read = new List<string>();
        do
        {
            Assert.True(await stream.MoveNext(_patience));
            read.AddRange(ids(stream.Current));
        }
        while (stream.Current.More);

        return read;
    }

    private static RegistrationEntry Entry(string path, SpiffeId parent) => new() { Id = "", SpiffeId = SpiffeId.Of(TestTrustDomain.Name, path), ParentId = parent, Selectors = [TestTrustDomain.Myself] };
}
