using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>One server and one agent for all tests of a class, and no entry: each test registers what it needs and takes it back. Whoever stops either starts it again.</summary>
[SuppressMessage("Performance", "CA1812", Justification = "made by the test framework")]
public class EmptyDomain : IAsyncLifetime
{
    /// <summary>How long the SVIDs of workloads live.</summary>
    public static readonly TimeSpan SvidTtl = TimeSpan.FromHours(1);

    /// <summary>The agent's own lives longer, so that a test may let the workloads' grow old and has an agent afterwards.</summary>
    private static readonly TimeSpan AgentTtl = TimeSpan.FromDays(1);

    private readonly TimeProvider _time;

    public EmptyDomain()
        : this(TimeProvider.System)
    {
    }

    protected EmptyDomain(TimeProvider time) => _time = time;

    public TestTrustDomain Domain { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Domain = await TestTrustDomain.StartAsync(AgentTtl, authorityTtl: 7 * AgentTtl, time: _time);
        await UntilAsync(() => Domain.AgentHost.Readiness.IsReady, "the agent");
    }

    /// <summary>Waits; on virtual time a little of it passes at each look.</summary>
    public virtual Task UntilAsync(Func<bool> condition, string what) => Eventually.IsTrueAsync(condition, what);

    /// <summary>An entry for this process, or for what has the selectors; it goes with what is returned.</summary>
    public Task<Registered> RegisterAsync(string path, params Selector[] selectors) => RegisterAsync(new RegistrationEntry
    {
        Id = "",
        SpiffeId = SpiffeId.Of(Domain.TrustDomain, path),
        ParentId = Domain.AgentId,
        Selectors = [.. selectors.Length > 0 ? selectors : [TestTrustDomain.Myself]],
        X509Ttl = SvidTtl,
    });

    /// <inheritdoc cref="RegisterAsync(string, Selector[])"/>
    public async Task<Registered> RegisterAsync(RegistrationEntry entry)
    {
        using var admin = Domain.Admin();
        return new Registered(this, await admin.CreateEntryAsync(entry, CancellationToken.None));
    }

    public async ValueTask DisposeAsync()
    {
        await Domain.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}

/// <summary>The same on virtual time.</summary>
public sealed class VirtualDomain : EmptyDomain
{
    public VirtualDomain()
        : this(new ManualTimeProvider())
    {
    }

    private VirtualDomain(ManualTimeProvider time)
        : base(time) => Time = time;

    public ManualTimeProvider Time { get; }

    /// <summary>Lets the SVIDs of workloads come to where they are renewed, and not to where they expire.</summary>
    public void PassRenewal() => Time.Advance(SvidTtl * 2 / 3);

    public override Task UntilAsync(Func<bool> condition, string what) => Eventually.IsTrueAsync(condition, what, passing: Time);
}

/// <summary>An entry that is taken back when the test is done with it: the agent has heard of that too, then.</summary>
public sealed class Registered(EmptyDomain world, RegistrationEntry entry) : IAsyncDisposable
{
    private bool _gone;

    public RegistrationEntry Entry => entry;

    public async Task DeleteAsync()
    {
        using var admin = world.Domain.Admin();
        await admin.DeleteEntryAsync(entry.Id, CancellationToken.None);
        _gone = true;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_gone)
        {
            await DeleteAsync();
        }

        await world.UntilAsync(() => !world.Domain.AgentView.Entries.Any(one => one.Id == entry.Id), "an agent without the test's entry");
    }
}
