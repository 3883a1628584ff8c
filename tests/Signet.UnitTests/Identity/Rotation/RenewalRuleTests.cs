using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Rotation;

namespace Signet.UnitTests.Identity.Rotation;

public sealed class RenewalRuleTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly RenewalRule EightHours = new(TimeSpan.FromHours(8));

    [Fact]
    public void Without_a_target_the_usual_moment_holds() =>
        Assert.Equal(SvidRenewal.DueAt(Hours(12), Start, 0.3), new RenewalRule().DueAt(Hours(12), Start, 0.3));

    [Fact]
    public void What_is_due_still_lasts_for_the_target() => Assert.Equal(8, (Start.AddHours(12) - EightHours.DueAt(Hours(12), Start, 0)).TotalHours, 3);

    [Fact]
    public void Chance_makes_it_sooner_and_never_later() => Assert.Equal(3.6, (EightHours.DueAt(Hours(12), Start, 1) - Start).TotalHours, 3);

    [Fact]
    public void A_long_life_is_renewed_at_its_half_as_ever() => Assert.Equal(SvidRenewal.DueAt(Hours(48), Start, 0.5), EightHours.DueAt(Hours(48), Start, 0.5));

    [Fact]
    public void A_life_too_short_for_the_target_is_renewed_at_a_quarter_and_is_told_apart()
    {
        Assert.Equal(15, (EightHours.DueAt(Hours(1), Start, 0) - Start).TotalMinutes, 3);
        Assert.False(EightHours.IsMetBy(TimeSpan.FromHours(1)));
        Assert.False(EightHours.IsMetBy(TimeSpan.FromHours(10)));
        Assert.True(EightHours.IsMetBy(RenewalRule.LifetimeFor(TimeSpan.FromHours(8))));
        Assert.True(new RenewalRule().IsMetBy(TimeSpan.FromSeconds(5)));
    }

    [Fact]
    public void Is_never_later_than_usual_and_always_leaves_the_target_when_the_life_is_long_enough() =>
        Prop.ForAll<byte, byte, byte>((life, target, chance) =>
        {
            var (rule, validity) = (new RenewalRule(TimeSpan.FromMinutes(target + 1)), new Validity(Start, Start.AddMinutes(life + 1)));
            var due = rule.DueAt(validity, Start, chance / 256.0);
            Assert.InRange(due, Start, SvidRenewal.DueAt(validity, Start, chance / 256.0));
            Assert.True(!rule.IsMetBy(validity.Lifetime / 1.02) || validity.NotAfter - due >= rule.AvailabilityTarget - TimeSpan.FromSeconds(1));
        }).QuickCheckThrowOnFailure();

    private static Validity Hours(int hours) => new(Start, Start.AddHours(hours));
}
