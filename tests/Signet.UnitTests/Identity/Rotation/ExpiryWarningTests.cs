using Signet.Identity.Rotation;

namespace Signet.UnitTests.Identity.Rotation;

public sealed class ExpiryWarningTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly Validity Decade = new(Start, Start.AddDays(3650));
    private static readonly Validity Day = new(Start, Start.AddHours(24));

    [Theory]
    [InlineData(61, 0)]
    [InlineData(60, 1)]
    [InlineData(30, 2)]
    [InlineData(7, 3)]
    [InlineData(1, 4)]
    [InlineData(-5, 4)]
    public void An_anchor_of_ten_years_warns_sixty_thirty_seven_and_one_day_ahead(int days, int level) =>
        Assert.Equal(level, ExpiryWarning.ByHand.LevelOf(Decade, Decade.NotAfter.AddDays(-days)));

    [Theory]
    [InlineData(20, 0)]
    [InlineData(22, 1)]
    [InlineData(23, 2)]
    public void What_replaces_itself_warns_only_long_after_it_should_have_done_so(double hours, int level) =>
        Assert.Equal(level, ExpiryWarning.Automatic.LevelOf(Day, Start.AddHours(hours)));

    [Fact]
    public void A_short_life_is_warned_about_by_its_parts() => Assert.Equal(1, ExpiryWarning.ByHand.LevelOf(Day, Start.AddHours(12)));
}
