using Signet.Identity.Spiffe;
using Signet.Server.Federation;
using Signet.Server.Storage.Sqlite;
using Signet.Testing;

namespace Signet.UnitTests.Server.Federation;

public sealed class FederationRelationshipsTests : IAsyncLifetime
{
    private static readonly TrustDomain Own = TrustDomain.Parse("example.org");

    private readonly TestFolder _folder = new();
    private SqliteDatabase _database = null!;

    public ValueTask InitializeAsync()
    {
        _database = SqliteDatabase.Open(_folder.File("test.db"), new ManualTimeProvider());
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        await _database.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task What_was_made_changed_or_deleted_is_so_after_a_restart()
    {
        var spiffe = Web("a.example") with { Profile = new EndpointProfile.HttpsSpiffe(SpiffeId.Parse("spiffe://a.example/bundles")) };
        using (var before = await LoadAsync())
        {
            Assert.Equal(FederationResult.Done, await before.CreateAsync(Web("a.example"), CancellationToken.None));
            Assert.Equal(FederationResult.Done, await before.CreateAsync(Web("b.example"), CancellationToken.None));
            Assert.Equal(FederationResult.Done, await before.UpdateAsync(spiffe, CancellationToken.None));
            Assert.Equal(FederationResult.Done, await before.DeleteAsync(TrustDomain.Parse("b.example"), CancellationToken.None));
        }

        using var after = await LoadAsync();
        Assert.Equal([spiffe], after.Current.Values);
    }

    [Fact]
    public async Task What_stands_in_the_configuration_file_can_be_changed_there_only()
    {
        using var relationships = await LoadAsync(Web("a.example") with { IsStatic = true });
        Assert.Equal(FederationOutcome.Hindered, (await relationships.UpdateAsync(Web("a.example"), CancellationToken.None)).Outcome);
        Assert.Equal(FederationOutcome.Hindered, (await relationships.DeleteAsync(TrustDomain.Parse("a.example"), CancellationToken.None)).Outcome);
        Assert.Equal(FederationOutcome.Hindered, (await relationships.CreateAsync(Web("a.example"), CancellationToken.None)).Outcome);
        Assert.True(Assert.Single(relationships.Current.Values).IsStatic);
    }

    [Fact]
    public async Task The_configuration_file_takes_precedence_over_the_store()
    {
        using (var before = await LoadAsync())
        {
            await before.CreateAsync(Web("a.example"), CancellationToken.None);
        }

        using var after = await LoadAsync(Web("a.example") with { IsStatic = true });
        Assert.True(Assert.Single(after.Current.Values).IsStatic);
    }

    [Fact]
    public async Task Nothing_that_is_refused_changes_anything()
    {
        using var relationships = await LoadAsync();
        var seen = relationships.Changes.Version;
        Assert.Equal(FederationOutcome.Invalid, (await relationships.CreateAsync(Web(Own.Name), CancellationToken.None)).Outcome);
        Assert.Equal(FederationOutcome.NotFound, (await relationships.UpdateAsync(Web("a.example"), CancellationToken.None)).Outcome);
        Assert.Equal(FederationOutcome.NotFound, (await relationships.DeleteAsync(TrustDomain.Parse("a.example"), CancellationToken.None)).Outcome);
        Assert.Empty(relationships.Current);
        Assert.Equal(seen, relationships.Changes.Version);
    }

    private Task<FederationRelationships> LoadAsync(params FederationRelationship[] configured) =>
        FederationRelationships.LoadAsync(Own, configured, new SqliteFederationStore(_database), CancellationToken.None);

    private static FederationRelationship Web(string trustDomain) =>
        BundleEndpointUrl.TryParse($"https://{trustDomain}/bundle", out var url, out var problem)
            ? new FederationRelationship(TrustDomain.Parse(trustDomain), url, new EndpointProfile.HttpsWeb())
            : throw new InvalidOperationException(problem);
}
