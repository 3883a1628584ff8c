using Signet.Proxy.Connections;

namespace Signet.UnitTests.Proxy.Connections;

public sealed class EbbTests
{
    private const long Megabyte = 1024 * 1024;

    private readonly Ebb _ebb = new();

    [Fact]
    public void Comes_once_when_most_of_many_connections_have_gone()
    {
        Assert.Equal([false, false, true, false, false], Connections(100, 3000, 1000, 900, 10));
    }

    [Fact]
    public void Comes_again_when_as_many_have_come_and_gone()
    {
        Assert.Equal([false, true, false, true], Connections(2000, 10, 1010, 10));
    }

    [Theory]
    [InlineData(999, 0)]
    [InlineData(10_000, 6_000)]
    public void Does_not_come_for_few_or_while_most_are_still_there(int peak, int rest)
    {
        Assert.Equal([false, false], Connections(peak, rest));
    }

    [Fact]
    public void Comes_once_when_work_that_allocated_much_has_ended()
    {
        Assert.Equal([false, false, false, false, false, true, false, false, false, false, false, false], Allocations(10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10));
        Assert.Equal([false, false, false, false, false, true], Allocations(20, 20, 20, 20, 20, 20));
    }

    [Fact]
    public void Does_not_come_while_work_goes_on_or_between_its_bursts()
    {
        Assert.DoesNotContain(true, Allocations([.. Enumerable.Range(1, 100).Select(i => (double)i)]));
        Assert.DoesNotContain(true, Allocations([.. Enumerable.Range(500, 100).Select(i => (double)(i / 5 * 5))]));
    }

    [Fact]
    public void Does_not_come_for_what_idling_allocates_until_it_is_much()
    {
        var looks = Allocations([.. Enumerable.Range(0, 500).Select(i => i * 0.02)]);
        Assert.DoesNotContain(true, looks[..200]);
        Assert.Equal(2, looks.Count(look => look));
    }

    [Fact]
    public void Does_not_come_while_a_little_work_goes_on()
    {
        Assert.DoesNotContain(true, Allocations([.. Enumerable.Range(0, 500).Select(i => i * 0.04)]));
    }

    [Fact]
    public void Does_not_come_for_what_is_little_beside_the_heap()
    {
        Assert.DoesNotContain(true, Enumerable.Repeat(49, 20).Select(allocated => _ebb.HasCome(0, allocated * Megabyte, 100 * Megabyte)));
        Assert.Contains(true, Enumerable.Repeat(51, 20).Select(allocated => _ebb.HasCome(0, allocated * Megabyte, 100 * Megabyte)));
    }

    private bool[] Connections(params int[] looks) => [.. looks.Select(connections => _ebb.HasCome(connections, 0, 0))];

    /// <param name="looks">Megabytes ever allocated.</param>
    private bool[] Allocations(params double[] looks) => [.. looks.Select(allocated => _ebb.HasCome(0, (long)(allocated * Megabyte), 0))];
}
