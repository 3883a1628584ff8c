using Microsoft.Extensions.Logging.Abstractions;
using Signet.Client;
using Signet.Proxy.Config;
using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>What a rotation leaves behind in native memory. Alone, because it counts what the whole process has.</summary>
[Collection(nameof(IdentityLifetimeTests))]
[CollectionDefinition(nameof(IdentityLifetimeTests), DisableParallelization = true)]
public sealed class IdentityLifetimeTests
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(25);

    private readonly TestAuthority _authority = new(DateTimeOffset.UtcNow);
    private readonly ManualTimeProvider _clock = new(DateTimeOffset.UtcNow);

    [Fact]
    public void Endless_rotations_leave_nothing_for_the_garbage_collector_to_find()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var source = new TestIdentity(NewContext());
        var before = TlsContext.Count;
        using (var identity = new IdentityState(source, new TlsConfig(), Grace, _clock, NullLogger.Instance))
        {
            for (var i = 0; i < 100; i++)
            {
                source.Publish(NewContext());
                _clock.Advance(TimeSpan.FromSeconds(2));
                identity.Sweep();

                // One of now, and those within the grace: as client, and as server with sessions and without.
                Assert.InRange(TlsContext.Count - before, 3, 3 * (1 + 13));
            }
        }

        Assert.Equal(before, TlsContext.Count);
    }

    [Fact]
    public void Whoever_took_an_identity_before_it_was_replaced_may_begin_with_it()
    {
        var source = new TestIdentity(NewContext());
        using var identity = new IdentityState(source, new TlsConfig(), Grace, _clock, NullLogger.Instance);
        var taken = identity.Current!;

        source.Publish(NewContext());
        _clock.Advance(Grace - TimeSpan.FromMilliseconds(1));
        identity.Sweep();

        Assert.NotSame(taken, identity.Current);
        Signet.Proxy.Native.LibSsl.Free(taken.Certificate.Server.NewConnection());
    }

    [Fact]
    public void Whoever_comes_too_late_with_a_replaced_identity_is_told_so()
    {
        var source = new TestIdentity(NewContext());
        using var identity = new IdentityState(source, new TlsConfig(), Grace, _clock, NullLogger.Instance);
        var taken = identity.Current!;

        source.Publish(null);
        _clock.Advance(Grace);
        identity.Sweep();

        Assert.Contains("was replaced", Assert.Throws<IOException>(() => taken.Certificate.Client.Context.NewConnection()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_connection_keeps_what_it_needs_of_an_identity_that_is_gone()
    {
        var source = new TestIdentity(NewContext());
        using var identity = new IdentityState(source, new TlsConfig(), Grace, _clock, NullLogger.Instance);
        var connection = identity.Current!.Certificate.Server.NewConnection();

        source.Publish(NewContext());
        _clock.Advance(Grace);
        identity.Sweep();

        // The library itself says whether there are settings behind it.
        Signet.Proxy.Native.LibSsl.SetAcceptState(connection);
        Assert.Equal(-1, Signet.Proxy.Native.LibSsl.DoHandshake(connection));
        Signet.Proxy.Native.LibSsl.Free(connection);
    }

    private X509Context NewContext() => _authority.Context("/ns/default/sa/orders");
}
