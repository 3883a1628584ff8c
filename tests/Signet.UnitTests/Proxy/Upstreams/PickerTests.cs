using Signet.Policy.Objects;
using Signet.Proxy.Upstreams.Balancing;

namespace Signet.UnitTests.Proxy.Upstreams;

public sealed class PickerTests
{
    [Fact]
    public void Round_robin_takes_each_in_turn()
    {
        int[] loads = [9, 0, 5];
        Assert.Equal([0, 1, 2, 0, 1, 2], Enumerable.Range(0, 6).Select(turn => Picker.Pick(LoadBalancing.RoundRobin, loads, (uint)turn, 0)));
        Assert.Equal((int)(uint.MaxValue % 3), Picker.Pick(LoadBalancing.RoundRobin, loads, uint.MaxValue, 0));
    }

    [Theory]
    [InlineData(LoadBalancing.Random)]
    [InlineData(LoadBalancing.LeastRequest)]
    public void Chance_reaches_everybody_about_equally_often_when_all_have_the_same_to_do(LoadBalancing balancing)
    {
        var counts = Count(balancing, [1, 1, 1, 1, 1], 10_000);
        Assert.All(counts, count => Assert.InRange(count, 1_700, 2_300));
    }

    [Fact]
    public void Least_request_never_takes_the_busiest_and_random_does()
    {
        Assert.Equal(0, Count(LoadBalancing.LeastRequest, [3, 3, 100, 3], 1000)[2]);
        Assert.InRange(Count(LoadBalancing.Random, [3, 3, 100, 3], 1000)[2], 150, 350);
    }

    [Fact]
    public void Least_request_of_two_takes_the_one_with_less()
    {
        Assert.Equal([0, 1000], Count(LoadBalancing.LeastRequest, [2, 1], 1000));
        Assert.Equal([1000, 0], Count(LoadBalancing.LeastRequest, [1, 2], 1000));
    }

    [Theory]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.Random)]
    [InlineData(LoadBalancing.LeastRequest)]
    public void Of_one_there_is_nothing_to_choose(LoadBalancing balancing) => Assert.Equal(0, Picker.Pick(balancing, [7], 3, ulong.MaxValue));

    [Fact]
    public void Every_number_of_chance_is_a_candidate()
    {
        foreach (var chance in new[] { 0UL, ulong.MaxValue, 0xFFFFFFFFUL, 0xFFFFFFFF00000000UL })
        {
            Assert.InRange(Picker.Pick(LoadBalancing.LeastRequest, [1, 1, 1], 0, chance), 0, 2);
            Assert.InRange(Picker.Pick(LoadBalancing.Random, [1, 1, 1], 0, chance), 0, 2);
        }
    }

    private static int[] Count(LoadBalancing balancing, int[] loads, int turns)
    {
        var counts = new int[loads.Length];
        for (var turn = 0u; turn < turns; turn++)
        {
            counts[Picker.Pick(balancing, loads, turn, Picker.Chance(42, turn))]++;
        }

        return counts;
    }
}
