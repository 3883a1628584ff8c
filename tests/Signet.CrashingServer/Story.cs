using Signet.Authority.Issuance;
using Signet.Authority.Rotation;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Keys;
using Signet.Server.Registration;
using Signet.Server.Storage.Sqlite;

namespace Signet.CrashingServer;

/// <summary>The authority of a server and its entries on a folder: the product's own parts, with a <see cref="Witness"/> before all that lasts.</summary>
internal sealed class Story : IAsyncDisposable
{
    public static readonly TrustDomain TrustDomain = TrustDomain.Parse("example.org");

    private static readonly AuthorityPlan Plan = new() { TrustDomain = TrustDomain };

    private readonly SqliteDatabase _database;
    private readonly EntryDirectory _entries;
    private readonly SvidIssuer _issuer;
    private readonly DownstreamIssuer _downstream;

    private Story(SqliteDatabase database, AuthorityRotation authorities, EntryDirectory entries, Witness witness)
    {
        (_database, Authorities, _entries) = (database, authorities, entries);
        _issuer = new SvidIssuer(authorities, witness, TimeProvider.System);
        _downstream = new DownstreamIssuer(Plan, authorities, witness, witness, TimeProvider.System);
    }

    public AuthorityRotation Authorities { get; }

    /// <summary>Begins, or goes on with what is in the folder.</summary>
    /// <param name="folder">The server's data folder.</param>
    /// <param name="isExternal">Whether the issuing authority comes from above.</param>
    /// <param name="reached">Called at each step that lasts, with what the store must hold then.</param>
    /// <param name="signed">Called with each serial number.</param>
    public static async Task<Story> OpenAsync(string folder, bool isExternal, Action<string, StoreContent> reached, Action<string> signed)
    {
        var database = SqliteDatabase.Open(Path.Combine(folder, "signet.db"), TimeProvider.System);
        try
        {
            var witness = await Witness.CreateAsync(new DiskKeyManager(Path.Combine(folder, "keys")), database, reached, signed);
            var authorities = await AuthorityRotation.ResumeAsync(
                Plan with { IsExternal = isExternal }, witness, witness, TimeProvider.System, CancellationToken.None, isExternal ? FromAbove() : null);
            var entries = await EntryDirectory.LoadAsync(TrustDomain, witness, new HashSet<string>(), _ => false, TimeProvider.System, CancellationToken.None);
            return new Story(database, authorities, entries, witness);
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _entries.Dispose();
        Authorities.Dispose();
        await _database.DisposeAsync();
    }

    /// <summary>The newest authority of a tier in a state.</summary>
    public string Newest(AuthorityTier tier, SlotState state) => Authorities.Current.Records.Last(record => record.Tier == tier && record.State == state).Id;

    public bool Has(AuthorityTier tier, SlotState state) => Authorities.Current.Records.Any(record => record.Tier == tier && record.State == state);

    /// <summary>Signs two SVIDs.</summary>
    public Task SignAsync() => _issuer.IssueAsync([Request("/web"), Request("/billing")], CancellationToken.None);

    /// <summary>Signs an authority for a server below.</summary>
    public async Task SignBelowAsync()
    {
        using var key = KeyPair.Generate(KeyType.EcP256);
        await _downstream.IssueAsync(KeyPair.ExportPublicKey(key), TimeSpan.FromHours(1), "spiffe://example.org/below", CancellationToken.None);
    }

    /// <summary>Makes a desired state hold: what is owned and not wanted goes, what is wanted comes.</summary>
    public Task ApplyAsync(params string[] paths) => _entries.ApplyAsync(
        "folder",
        [
            .. paths.Select(path => new RegistrationEntry
            {
                Id = "",
                SpiffeId = SpiffeId.Of(TrustDomain, path),
                ParentId = SpiffeId.Of(TrustDomain, "/spire/agent/node"),
                Selectors = [new Selector("unix", "uid:1")],
            }),
        ],
        ApplyMode.EvenDeleteMost,
        EntryDirectory.OwnWish,
        CancellationToken.None);

    private static SvidRequest Request(string path)
    {
        using var key = KeyPair.Generate(KeyType.EcP256);
        return new SvidRequest(SpiffeId.Of(TrustDomain, path), KeyPair.ExportPublicKey(key), TimeSpan.FromMinutes(5), [], "spiffe://example.org/test");
    }

    private static ExternalIssuer FromAbove()
    {
        var now = TimeProvider.System.GetUtcNow();
        using var anchorKey = KeyPair.Generate(KeyType.EcP256);
        var anchor = CertificateTemplate.Authority(TrustDomain, KeyPair.ExportPublicKey(anchorKey), now.AddDays(-1), now.AddDays(100), "anchor").SignSelf(anchorKey);
        return ExternalIssuer.TryMake(Plan, [anchor], anchorKey, [anchor], now, out var issuer, out var problem) ? issuer : throw new InvalidOperationException(problem);
    }
}
