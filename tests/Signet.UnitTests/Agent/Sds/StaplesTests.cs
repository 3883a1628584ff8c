using System.Collections.Immutable;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Identities;
using Signet.Agent.Sds;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Sds;

public sealed class StaplesTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TestAuthority Authority = new(Start);
    private static readonly X509Svid Web = Authority.Svid("/web", notAfter: Start.AddDays(1));

    private readonly ManualTimeProvider _time = new(Start);
    private readonly IdentityCache _cache = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Staples _staples;
    private Task _running = Task.CompletedTask;
    private Func<Certificate, byte[]> _server;
    private int _asked;

    public StaplesTests()
    {
        _server = leaf => Authority.Say(leaf, new OcspStatus.Good(), _time.GetUtcNow(), _time.GetUtcNow().AddHours(1));
        _staples = new Staples(AskAsync, _cache, _time, () => 0.5, NullLogger<Staples>.Instance);
        Hold(Web);
    }

    public ValueTask InitializeAsync()
    {
        _running = _staples.RunAsync(_stop.Token);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    [Fact]
    public async Task Nothing_is_asked_for_before_somebody_wants_it_and_then_everybody_is_told()
    {
        Assert.Equal(0, _asked);
        var seen = _cache.Changes.Version;
        Assert.Null(_staples.Of(Web));
        await Eventually.IsTrueAsync(() => _staples.Of(Web) is not null, "the staple");
        Assert.Equal(1, _asked);
        await Eventually.IsTrueAsync(() => _cache.Changes.Version > seen, "the streams to be woken");
    }

    [Fact]
    public async Task It_is_refreshed_at_half_of_its_life()
    {
        var first = await WantAsync();
        await AdvanceAsync(TimeSpan.FromMinutes(29));
        Assert.Same(first, _staples.Of(Web));
        await AdvanceAsync(TimeSpan.FromMinutes(2));
        await Eventually.IsTrueAsync(async () =>
        {
            await AdvanceAsync(TimeSpan.FromSeconds(10));
            return _staples.Of(Web) is { } next && next != first;
        }, "the next one");
    }

    [Fact]
    public async Task While_the_server_is_away_the_last_one_serves_until_its_end_and_not_a_second_longer()
    {
        var first = await WantAsync();
        _server = _ => throw new RpcException(new Status(StatusCode.Unavailable, "away"));
        await AdvanceAsync(TimeSpan.FromMinutes(59));
        Assert.Same(first, _staples.Of(Web));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(_staples.Of(Web));
        _server = leaf => Authority.Say(leaf, new OcspStatus.Good(), _time.GetUtcNow(), _time.GetUtcNow().AddHours(1));
        await Eventually.IsTrueAsync(async () =>
        {
            await AdvanceAsync(TimeSpan.FromMinutes(1));
            return _staples.Of(Web) is not null;
        }, "the server to be asked again");
    }

    [Fact]
    public async Task What_is_no_longer_held_is_forgotten()
    {
        await WantAsync();
        var other = Authority.Svid("/other", notAfter: Start.AddDays(1));
        Hold(other);
        await AdvanceAsync(TimeSpan.FromMinutes(40));
        Assert.Equal(1, _asked);
    }

    public static TheoryData<string, byte[], string> Refused => new()
    {
        { "another certificate", Authority.Say(Authority.Svid("/other").Leaf, new OcspStatus.Good(), Start, Start.AddHours(1)), "another certificate" },
        { "another issuer", new TestAuthority(Start).Say(Web.Leaf, new OcspStatus.Good(), Start, Start.AddHours(1)), "another certificate" },
        { "revoked", Authority.Say(Web.Leaf, new OcspStatus.Revoked(Start, RevocationReason.KeyCompromise), Start, Start.AddHours(1)), "revoked" },
        { "unknown", Authority.Say(Web.Leaf, new OcspStatus.Unknown(), Start, Start.AddHours(1)), "unknown" },
        { "over", Authority.Say(Web.Leaf, new OcspStatus.Good(), Start.AddHours(-2), Start), "holds from" },
        { "not yet", Authority.Say(Web.Leaf, new OcspStatus.Good(), Start.AddSeconds(1), Start.AddHours(1)), "holds from" },
        { "a refusal", OcspResponse.Refuse(OcspRefusal.Unauthorized), "answers nothing" },
        { "nothing", [], "malformed" },
    };

    [Theory]
    [MemberData(nameof(Refused), DisableDiscoveryEnumeration = true)]
    public void What_does_not_say_that_this_certificate_is_good_now_is_not_stapled(string what, byte[] response, string reason)
    {
        Assert.False(Staple.TryRead(response, Web.Leaf, Web.Issuer!, Start, out _, out var problem), what);
        Assert.Contains(reason, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void What_another_key_signed_is_not_stapled()
    {
        // The issuer's name and key are in the question, another signature below it.
        var forged = Authority.Say(Web.Leaf, new OcspStatus.Good(), Start, Start.AddHours(1));
        forged[^1] ^= 1;
        Assert.False(Staple.TryRead(forged, Web.Leaf, Web.Issuer!, Start, out _, out var problem));
        Assert.Contains("did not sign", problem, StringComparison.Ordinal);
    }

    private async Task<Staple> WantAsync()
    {
        _staples.Of(Web);
        await Eventually.IsTrueAsync(() => _staples.Of(Web) is not null, "the staple");
        return _staples.Of(Web)!;
    }

    /// <summary>Minute by minute, so that the loop gets its turns.</summary>
    private async Task AdvanceAsync(TimeSpan time)
    {
        for (var left = time; left > TimeSpan.Zero; left -= TimeSpan.FromMinutes(1))
        {
            _time.Advance(TimeSpan.FromMinutes(1));
            await Task.Yield();
        }
    }

    private Task<IReadOnlyList<ReadOnlyMemory<byte>>> AskAsync(IReadOnlyList<(Certificate Leaf, Certificate Issuer)> certificates, CancellationToken cancellationToken)
    {
        _asked++;
        return Task.FromResult<IReadOnlyList<ReadOnlyMemory<byte>>>([.. certificates.Select(one => new ReadOnlyMemory<byte>(_server(one.Leaf)))]);
    }

    private void Hold(X509Svid svid)
    {
        var entry = new RegistrationEntry { Id = "entry", SpiffeId = svid.Id, ParentId = SpiffeId.Parse("spiffe://example.org/node"), Selectors = [new Selector("unix", "uid:1")] };
        _cache.Publish(new IdentitySnapshot(NodeView.Nothing, ImmutableDictionary<string, HeldSvid>.Empty.Add("entry", new HeldSvid(entry, svid, Start.AddHours(12)))));
    }
}
