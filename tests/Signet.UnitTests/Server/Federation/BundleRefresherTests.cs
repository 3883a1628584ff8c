using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Hosting;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Federation;
using Signet.Server.Storage.Sqlite;
using Signet.Server.Telemetry;
using Signet.Testing;

namespace Signet.UnitTests.Server.Federation;

/// <summary>SPIFFE_Federation.md §4.1, §4.2 and §6.2, in virtual time over a real store.</summary>
public sealed class BundleRefresherTests : IAsyncLifetime
{
    private static readonly TrustDomain Own = TrustDomain.Parse("example.org");
    private static readonly TrustDomain Other = TrustDomain.Parse("other.example");

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<TrustDomain> _asked = new();
    private readonly ConcurrentDictionary<TrustDomain, Func<CancellationToken, Task<FetchedBundle>>> _endpoints = new();
    private readonly TestAuthority _old;
    private readonly TestAuthority _new;
    private SqliteDatabase _database = null!;
    private FederationRelationships _relationships = null!;
    private FederatedBundles _bundles = null!;
    private FederationMetrics _metrics = null!;
    private BundleRefresher _refresher = null!;
    private Task _running = Task.CompletedTask;

    public BundleRefresherTests() => (_old, _new) = (new TestAuthority(_time.GetUtcNow(), Other.Name), new TestAuthority(_time.GetUtcNow(), Other.Name));

    public async ValueTask InitializeAsync()
    {
        _database = SqliteDatabase.Open(_folder.File("test.db"), _time);
        var store = new SqliteFederationStore(_database);
        _relationships = await FederationRelationships.LoadAsync(Own, [], store, CancellationToken.None);
        _bundles = await FederatedBundles.LoadAsync(Own, store, new ChangeSignal(), CancellationToken.None);
        _metrics = new FederationMetrics();
        _refresher = new BundleRefresher(_relationships, _bundles, FetchAsync, _metrics, _time, NullLogger<BundleRefresher>.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _metrics.Dispose();
        _relationships.Dispose();
        _bundles.Dispose();
        await _database.DisposeAsync();
        _stop.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task F03_A_bundle_is_fetched_at_once_and_then_by_its_hint()
    {
        Serve(_old, sequence: 1, TimeSpan.FromMinutes(10));
        await StartAsync(Relationship(Other));
        Serve(_new, sequence: 2, TimeSpan.FromMinutes(10));
        _time.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromSeconds(1));
        Assert.Single(_asked);
        Assert.Equal(1ul, _bundles.Find(Other)!.Sequence);
        await AdvanceAsync(TimeSpan.FromSeconds(1), asked: 2);
        Assert.Equal(2ul, _bundles.Find(Other)!.Sequence);
    }

    [Fact]
    public async Task F20_A_failure_waits_for_the_next_turn_and_changes_nothing()
    {
        Serve(_old, sequence: 1, TimeSpan.FromMinutes(10));
        await StartAsync(Relationship(Other));
        var before = _bundles.Find(Other);
        Fail("it answered 500");
        await AdvanceAsync(TimeSpan.FromMinutes(10), asked: 2);
        Assert.Same(before, _bundles.Find(Other));
        _time.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromSeconds(1));
        Assert.Equal(2, _asked.Count);
        await AdvanceAsync(TimeSpan.FromSeconds(1), asked: 3);
    }

    [Fact]
    public async Task F04_An_older_bundle_is_refused_with_its_reason_and_the_newer_stays()
    {
        Serve(_new, sequence: 9, null);
        await StartAsync(Relationship(Other));
        Serve(_old, sequence: 8, null);
        var result = await _refresher.RefreshAsync(Relationship(Other), CancellationToken.None);
        Assert.Equal(RefreshOutcome.Older, result.Outcome);
        Assert.Contains("sequence 8, but 9 was served before", result.Reason);
        Assert.Equal(9ul, _bundles.Find(Other)!.Sequence);
    }

    [Fact]
    public async Task F04_F19_The_newest_bundle_is_stored_and_there_after_a_restart()
    {
        Serve(_new, sequence: 9, null);
        await StartAsync(Relationship(Other));
        using var again = await FederatedBundles.LoadAsync(Own, new SqliteFederationStore(_database), new ChangeSignal(), CancellationToken.None);
        Assert.Equal(_bundles.Find(Other), again.Find(Other));
        Assert.Equal(9ul, again.Find(Other)!.Sequence);
        Serve(_old, sequence: 8, null);
        Assert.Equal(BundleStep.Refuse, await again.OfferAsync(Bundle(_old, 8, null), CancellationToken.None));
    }

    [Fact]
    public async Task An_endpoint_that_hangs_holds_back_no_other()
    {
        var third = TrustDomain.Parse("third.example");
        var authority = new TestAuthority(_time.GetUtcNow(), third.Name);
        _endpoints[Other] = async stop =>
        {
            await Task.Delay(Timeout.Infinite, stop);
            return default;
        };
        _endpoints[third] = _ => Task.FromResult(new FetchedBundle(Bundle(authority, 1, null), ""));
        await _relationships.CreateAsync(Relationship(Other), CancellationToken.None);
        await _relationships.CreateAsync(Relationship(third), CancellationToken.None);
        _running = _refresher.RunAsync(_stop.Token);
        await Eventually.IsTrueAsync(() => _bundles.Find(third) is not null, "the bundle of the endpoint that answers");
        Assert.Null(_bundles.Find(Other));
    }

    [Fact]
    public async Task A_relationship_made_or_deleted_at_runtime_is_followed_or_no_longer()
    {
        Serve(_old, sequence: 1, TimeSpan.FromMinutes(1));
        _running = _refresher.RunAsync(_stop.Token);
        await _relationships.CreateAsync(Relationship(Other), CancellationToken.None);
        await Eventually.IsTrueAsync(() => _bundles.Find(Other) is not null, "the first bundle");
        await Eventually.IsTrueAsync(() => _time.WaitingTimers == 1, "the wait for the next turn");
        await _relationships.DeleteAsync(Other, CancellationToken.None);
        await Eventually.IsTrueAsync(() => _time.WaitingTimers == 0, "the end of the wait");
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Single(_asked);
        Assert.NotNull(_bundles.Find(Other));
    }

    [Fact]
    public async Task F17_An_endpoint_that_could_not_be_recognised_is_asked_once_an_operator_gives_the_first_bundle()
    {
        _endpoints[Other] = _ => Task.FromResult(
            _bundles.Find(Other) is null ? new FetchedBundle(null, "it can't be recognised") { LacksTrust = true } : new FetchedBundle(Bundle(_new, 2, null), ""));
        await StartAsync(Relationship(Other));
        Assert.Null(_bundles.Find(Other));
        Assert.Equal(FederationResult.Done, await _bundles.SetAsync(Bundle(_old, null, null), Expected.Nothing, CancellationToken.None));
        await Eventually.IsTrueAsync(() => _bundles.Find(Other)!.Sequence == 2, "the bundle from the endpoint, before the next turn");
    }

    [Fact]
    public async Task F03_F20_A_change_of_another_bundle_is_no_reason_to_ask_before_the_time()
    {
        Fail("it answered 500");
        await StartAsync(Relationship(Other));
        var third = new TestAuthority(_time.GetUtcNow(), "third.example");
        var timers = _time.StartedTimers;
        await _bundles.SetAsync(Bundle(third, 1, null), Expected.Nothing, CancellationToken.None);
        await _bundles.SetAsync(Bundle(_old, 1, null), Expected.Nothing, CancellationToken.None);
        await AdvanceAsync(RefreshInterval.Default, asked: 2);
        Assert.Equal(timers + 1, _time.StartedTimers);
    }

    private static FederationRelationship Relationship(TrustDomain trustDomain) =>
        BundleEndpointUrl.TryParse($"https://{trustDomain}/bundle", out var url, out var problem)
            ? new FederationRelationship(trustDomain, url, new EndpointProfile.HttpsWeb())
            : throw new InvalidOperationException(problem);

    private static SpiffeBundle Bundle(TestAuthority authority, ulong? sequence, TimeSpan? hint) =>
        SpiffeBundle.Of(X509Bundle.Create(authority.TrustDomain, [authority.Anchor], sequence, hint), JwtBundle.Empty(authority.TrustDomain));

    private void Serve(TestAuthority authority, ulong sequence, TimeSpan? hint) => _endpoints[Other] = _ => Task.FromResult(new FetchedBundle(Bundle(authority, sequence, hint), ""));

    private void Fail(string problem) => _endpoints[Other] = _ => Task.FromResult(new FetchedBundle(null, problem));

    private Task<FetchedBundle> FetchAsync(FederationRelationship relationship, CancellationToken cancellationToken)
    {
        _asked.Enqueue(relationship.TrustDomain);
        return _endpoints[relationship.TrustDomain](cancellationToken);
    }

    private async Task StartAsync(FederationRelationship relationship)
    {
        await _relationships.CreateAsync(relationship, CancellationToken.None);
        _running = _refresher.RunAsync(_stop.Token);
        await Eventually.IsTrueAsync(() => _time.WaitingTimers == 1, "the wait for the second turn");
    }

    private async Task AdvanceAsync(TimeSpan by, int asked)
    {
        var timers = _time.StartedTimers;
        _time.Advance(by);
        await Eventually.IsTrueAsync(() => _asked.Count == asked && _time.StartedTimers > timers && _time.WaitingTimers == 1, $"turn {asked}");
    }
}
