using Microsoft.Extensions.Logging;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Spiffe;
using Signet.Server.Upkeep;
using Signet.Server.Upstream;
using Signet.Testing;
using Signet.Testing.Rpc;
using Signet.UnitTests.Authority;

namespace Signet.UnitTests.Server.Upkeep;

public sealed class ExpiryWatchTests
{
    private const int Expires = 2110;

    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly RememberedLog _log = new();

    [Fact]
    public async Task An_anchor_is_warned_of_sixty_thirty_seven_and_one_day_ahead_once_each_with_what_to_do()
    {
        using var authorities = await AuthoritiesAsync(new AuthorityPlan { TrustDomain = TrustDomain.Parse("example.org"), IssuingTtl = TimeSpan.FromDays(3650) });
        var watch = Watch(authorities);
        var end = authorities.Current.Ledger.ActiveAnchor.Validity.NotAfter;
        Assert.Empty(WarnedOf("anchor", watch, end.AddDays(-60).AddSeconds(-1)));
        foreach (var days in new[] { 60, 30, 7, 1 })
        {
            var warning = Assert.Single(WarnedOf("anchor", watch, end.AddDays(-days)));
            Assert.Contains($"{days}d", warning, StringComparison.Ordinal);
            Assert.Contains("signet authority rotate --anchor", warning, StringComparison.Ordinal);
            Assert.Empty(WarnedOf("anchor", watch, end.AddDays(-days).AddMinutes(1)));
        }
    }

    [Fact]
    public async Task What_replaces_itself_is_warned_of_only_when_it_did_not()
    {
        using var authorities = await AuthoritiesAsync(new AuthorityPlan { TrustDomain = TrustDomain.Parse("example.org") });
        var watch = Watch(authorities);
        var end = authorities.Current.Issuing.Certificate.NotAfter;
        Assert.Empty(WarnedOf("issuing", watch, end.AddHours(-4)));
        Assert.Contains("see what the log says about its rotation", Assert.Single(WarnedOf("issuing", watch, end.AddHours(-2))), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_somebody_has_to_replace_in_files_is_warned_of_as_early_as_an_anchor()
    {
        using var authorities = await AuthoritiesAsync(new AuthorityPlan { TrustDomain = TrustDomain.Parse("example.org") });
        var watch = Watch(authorities, new UpstreamConfig.Folder("/etc/signet/issuer", UpstreamLayout.Linkerd));
        var end = authorities.Current.Issuing.Certificate.NotAfter;
        Assert.Contains("put new files under upstream.folder in time", Assert.Single(WarnedOf("issuing", watch, end.AddHours(-11))), StringComparison.Ordinal);
    }

    private static Task<AuthorityRotation> AuthoritiesAsync(AuthorityPlan plan) =>
        AuthorityRotation.ResumeAsync(plan, new MemoryKeyManager(), new MemoryJournal(), new ManualTimeProvider(Start), CancellationToken.None);

    private ExpiryWatch Watch(AuthorityRotation authorities, UpstreamConfig? upstream = null)
    {
        using var logs = LoggerFactory.Create(builder => builder.AddProvider(new RememberedLog.Provider(_log)));
        return new ExpiryWatch(upstream, authorities, logs.CreateLogger<ExpiryWatch>());
    }

    private string[] WarnedOf(string tier, ExpiryWatch watch, DateTimeOffset now)
    {
        var before = _log.WithId(Expires).Count;
        watch.Look(now);
        return [.. _log.WithId(Expires).Skip(before).Where(line => line.Contains(tier, StringComparison.OrdinalIgnoreCase))];
    }
}
