using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Rotation;

namespace Signet.UnitTests.Identity.Rotation;

public sealed class RotationRuleTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly RotationRule Rule = RotationRule.Authority;

    [Theory]
    [InlineData(0, RotationStep.Wait)]
    [InlineData(11.9, RotationStep.Wait)]
    [InlineData(12, RotationStep.Prepare)]
    [InlineData(23.9, RotationStep.Prepare)]
    public void A_day_long_authority_is_prepared_at_half_of_its_life(double hours, RotationStep expected) =>
        Assert.Equal(expected, Rule.Next(Day(0), null, Start.AddHours(hours)));

    [Theory]
    [InlineData(12, RotationStep.Wait)]
    [InlineData(19.9, RotationStep.Wait)]
    [InlineData(20, RotationStep.Activate)]
    public void The_next_one_takes_over_at_the_last_sixth(double hours, RotationStep expected) =>
        Assert.Equal(expected, Rule.Next(Day(0), Day(12), Start.AddHours(hours)));

    [Fact]
    public void Ten_years_are_prepared_thirty_days_and_activated_seven_days_before_the_end()
    {
        var decade = new Validity(Start, Start.AddDays(3650));
        var next = new Validity(Start.AddDays(3620), Start.AddDays(7000));
        Assert.Equal(RotationStep.Wait, Rule.Next(decade, null, Start.AddDays(3619.9)));
        Assert.Equal(RotationStep.Prepare, Rule.Next(decade, null, Start.AddDays(3620)));
        Assert.Equal(RotationStep.Wait, Rule.Next(decade, next, Start.AddDays(3642.9)));
        Assert.Equal(RotationStep.Activate, Rule.Next(decade, next, Start.AddDays(3643)));
    }

    [Fact]
    public void Nothing_at_all_is_prepared_and_then_activated_at_once()
    {
        Assert.Equal(RotationStep.Prepare, Rule.Next(null, null, Start));
        Assert.Equal(RotationStep.Activate, Rule.Next(null, Day(0), Start));
    }

    [Fact]
    public void A_jump_of_the_clock_past_the_end_activates_what_is_ready_and_prepares_when_nothing_is()
    {
        Assert.Equal(RotationStep.Activate, Rule.Next(Day(0), Day(20), Start.AddHours(30)));
        Assert.Equal(RotationStep.Prepare, Rule.Next(Day(0), Day(1), Start.AddHours(90)));
    }

    [Fact]
    public void A_current_one_from_the_future_is_replaced_once_the_clock_is_right_again()
    {
        Assert.Equal(RotationStep.Prepare, Rule.Next(Day(48), null, Start));
        Assert.Equal(RotationStep.Activate, Rule.Next(Day(48), Day(0), Start));
    }

    [Fact]
    public void A_successor_that_is_not_yet_valid_does_not_take_over() =>
        Assert.Equal(RotationStep.Wait, Rule.Next(Day(0), Day(22), Start.AddHours(21)));

    [Fact]
    public void Following_the_rule_never_leaves_a_moment_without_a_valid_authority() =>
        Prop.ForAll(
            Gen.Choose(60, 1_000_000).ToArbitrary(),
            seconds =>
            {
                var life = TimeSpan.FromSeconds(seconds);
                var (current, next) = ((Validity?)new Validity(Start, Start + life), (Validity?)null);
                for (var now = Start; now < Start + (life * 5); now += life / 100)
                {
                    switch (Rule.Next(current, next, now))
                    {
                        case RotationStep.Prepare:
                            next = new Validity(now, now + life);
                            break;
                        case RotationStep.Activate:
                            (current, next) = (next, null);
                            break;
                    }

                    if (!current!.Value.Covers(now))
                    {
                        return false;
                    }
                }

                return true;
            }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_row_of_slots_is_judged_by_its_newest_prepared_and_active_ones()
    {
        Slot[] slots = [new("old", SlotState.Old, Day(-20)), new("active", SlotState.Active, Day(0)), new("dead", SlotState.Prepared, Day(-40)), new("next", SlotState.Prepared, Day(12))];
        Assert.Equal(new SlotAction(RotationStep.Wait), Rule.Next(slots, Start.AddHours(13), mayForget: false));
        Assert.Equal(new SlotAction(RotationStep.Activate, "next"), Rule.Next(slots, Start.AddHours(20), mayForget: false));
        Assert.Equal(new SlotAction(RotationStep.Prepare), Rule.Next(slots[..2], Start.AddHours(13), mayForget: false));
    }

    [Theory]
    [InlineData(SlotState.Old)]
    [InlineData(SlotState.Tainted)]
    [InlineData(SlotState.Prepared)]
    public void What_has_expired_and_is_not_in_use_goes_first_but_only_under_a_clock_that_can_be_believed(SlotState state)
    {
        Slot[] slots = [new("gone", state, Day(-30)), new("active", SlotState.Active, Day(0))];
        Assert.Equal(new SlotAction(RotationStep.Forget, "gone"), Rule.Next(slots, Start.AddHours(1), mayForget: true));
        Assert.Equal(new SlotAction(RotationStep.Wait), Rule.Next(slots, Start.AddHours(1), mayForget: false));
    }

    [Fact]
    public void What_is_in_use_is_never_forgotten_however_long_ago_it_expired() =>
        Assert.Equal(new SlotAction(RotationStep.Prepare), Rule.Next([new("active", SlotState.Active, Day(0))], Start.AddYears(9), mayForget: true));

    private static Validity Day(double fromHour) => new(Start.AddHours(fromHour), Start.AddHours(fromHour + 24));
}

public sealed class SvidRenewalTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly Validity Hour = new(Start, Start.AddHours(1));

    [Theory]
    [InlineData(0.0, 27)]
    [InlineData(0.5, 30)]
    [InlineData(0.999999, 33)]
    public void Renewal_is_due_at_half_of_life_give_or_take_a_tenth(double chance, int minutes) =>
        Assert.Equal(minutes, (SvidRenewal.DueAt(Hour, Start, chance) - Start).TotalMinutes, 3);

    [Fact]
    public void Backdating_does_not_bring_the_renewal_of_a_short_certificate_forward_to_its_receipt()
    {
        var validity = new Validity(Start.AddSeconds(-10), Start.AddSeconds(6));
        Assert.Equal(Start.AddSeconds(3), SvidRenewal.DueAt(validity, Start, 0.5));
    }

    [Fact]
    public void A_leaf_is_cut_to_its_issuers_end_and_never_begins_before_it()
    {
        var granted = SvidRenewal.Granted(TimeSpan.FromHours(24), TimeSpan.FromSeconds(10), Hour, Start.AddSeconds(3));
        Assert.Equal(Hour, granted);
    }

    [Fact]
    public void A_leaf_that_fits_is_backdated_and_gets_what_it_asked_for()
    {
        var now = Start.AddMinutes(10);
        var granted = SvidRenewal.Granted(TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(10), Hour, now);
        Assert.Equal(new Validity(now.AddSeconds(-10), now.AddMinutes(5)), granted);
    }
}
