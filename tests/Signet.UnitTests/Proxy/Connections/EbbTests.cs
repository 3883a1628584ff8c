using Signet.Proxy.Connections;

namespace Signet.UnitTests.Proxy.Connections;

public sealed class EbbTests
{
    private readonly Ebb _ebb = new();

    [Fact]
    public void Comes_once_when_most_of_many_connections_have_gone()
    {
        Assert.Equal([false, false, true, false, false], new[] { 100, 3000, 1000, 900, 10 }.Select(_ebb.HasCome));
    }

    [Fact]
    public void Comes_again_when_as_many_have_come_and_gone()
    {
        Assert.Equal([false, true, false, true], new[] { 2000, 10, 1010, 10 }.Select(_ebb.HasCome));
    }

    [Theory]
    [InlineData(999, 0)]
    [InlineData(10_000, 6_000)]
    public void Does_not_come_for_few_or_while_most_are_still_there(int peak, int rest)
    {
        Assert.Equal([false, false], new[] { peak, rest }.Select(_ebb.HasCome));
    }
}
