using Signet.Identity.Jose;
using Signet.Identity.X509;
using Signet.Server.Federation;
using Signet.Testing;

namespace Signet.UnitTests.Server.Federation;

/// <summary>SPIFFE_Federation.md §4.1 and §4.2.</summary>
public sealed class BundleOrderTests
{
    private static readonly TestAuthority One = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private static readonly TestAuthority Two = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Theory]
    [InlineData(null, null, BundleStep.Take)]
    [InlineData(5ul, 6ul, BundleStep.Take)]
    [InlineData(5ul, ulong.MaxValue, BundleStep.Take)]
    [InlineData(5ul, 5ul, BundleStep.Take)]
    [InlineData(5ul, null, BundleStep.Take)]
    [InlineData(null, 5ul, BundleStep.Take)]
    [InlineData(6ul, 5ul, BundleStep.Refuse)]
    [InlineData(ulong.MaxValue, 0ul, BundleStep.Refuse)]
    public void F04_Other_keys_are_ordered_by_sequence_and_without_one_the_last_fetched_counts(ulong? kept, ulong? offered, BundleStep expected) =>
        Assert.Equal(expected, BundleOrder.Next(Bundle(One, kept), Bundle(Two, offered)));

    [Fact]
    public void F04_The_first_bundle_is_taken_whatever_its_sequence() => Assert.Equal(BundleStep.Take, BundleOrder.Next(null, Bundle(One, null)));

    [Theory]
    [InlineData(null)]
    [InlineData(5ul)]
    public void F04_The_same_bundle_changes_nothing(ulong? sequence) => Assert.Equal(BundleStep.Keep, BundleOrder.Next(Bundle(One, sequence), Bundle(One, sequence)));

    [Theory]
    [InlineData(null, 300)]
    [InlineData(0, 60)]
    [InlineData(59, 60)]
    [InlineData(60, 60)]
    [InlineData(600, 600)]
    [InlineData(86_400, 86_400)]
    [InlineData(100_000_000, 86_400)]
    public void F03_A_bundle_is_fetched_as_often_as_its_publisher_hints_within_bounds(int? hint, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), RefreshInterval.Of(hint is { } given ? TimeSpan.FromSeconds(given) : null));

    private static SpiffeBundle Bundle(TestAuthority authority, ulong? sequence) =>
        SpiffeBundle.Of(X509Bundle.Create(authority.TrustDomain, [authority.Anchor], sequence), JwtBundle.Empty(authority.TrustDomain));
}
