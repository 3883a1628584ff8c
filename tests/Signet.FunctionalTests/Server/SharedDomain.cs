using System.Diagnostics.CodeAnalysis;
using Signet.Rpc;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

/// <summary>One server and one agent for all tests of a class; what one test registered is gone before the next.</summary>
[SuppressMessage("Performance", "CA1812", Justification = "made by the test framework")]
public sealed class SharedDomain : IAsyncLifetime
{
    private const int MaxBatch = 500;

    public TestTrustDomain Domain { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Domain = await StartAsync();

    public ValueTask DisposeAsync() => Domain.DisposeAsync();

    /// <summary>Such a domain for one test alone; stages of a rotation of its anchor settle in a second.</summary>
    public static Task<TestTrustDomain> StartAsync() =>
        TestTrustDomain.StartAsync(configure: config => config with { Authority = config.Authority with { AnchorSettling = TimeSpan.FromSeconds(1) } });

    /// <summary>Deletes all entries and waits until the agent has none.</summary>
    public async ValueTask ForgetEntriesAsync()
    {
        using var channel = GrpcChannel.ForUnixSocket(Domain.ServerSocket, TimeProvider.System);
        var client = new Entry.EntryClient(channel);
        while ((await client.ListEntriesAsync(new ListEntriesRequest { PageSize = MaxBatch })).Entries is { Count: > 0 } page)
        {
            await client.BatchDeleteEntryAsync(new BatchDeleteEntryRequest { Ids = { page.Select(entry => entry.Id) } });
        }

        await Eventually.IsTrueAsync(() => Domain.AgentView.Entries.IsEmpty, "an agent without entries");
    }
}
