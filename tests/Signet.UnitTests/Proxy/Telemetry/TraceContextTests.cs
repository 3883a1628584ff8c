using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class TraceContextTests
{
    private const string Good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    [Theory]
    [InlineData(Good, true)]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false)]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe", false)]
    [InlineData("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true)]
    [InlineData("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later", true)]
    public void Reads_what_the_recommendation_allows(string field, bool isSampled)
    {
        Assert.True(TraceContext.TryParse(field, out var sampled));
        Assert.Equal(isSampled, sampled);
    }

    [Theory]
    [InlineData("")]
    [InlineData(Good + "-x")]
    [InlineData(Good + " ")]
    [InlineData("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    [InlineData("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.x")]
    [InlineData("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")]
    [InlineData("00-00000000000000000000000000000000-00f067aa0ba902b7-01")]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01")]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g")]
    [InlineData("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01")]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01")]
    public void Takes_nothing_that_is_only_nearly_right(string field) => Assert.False(TraceContext.TryParse(field, out _));

    [Fact]
    public void Reads_what_it_writes()
    {
        var begun = TraceContext.Begin(isSampled: true);
        var next = TraceContext.Continue(begun.Field)!;

        Assert.Equal((begun.TraceId, begun.SpanId, true), (next.TraceId, next.ParentId, next.IsSampled));
        Assert.NotEqual(begun.SpanId, next.SpanId);
        Assert.False(TraceContext.Continue(TraceContext.Begin(isSampled: false).Field)!.IsSampled);
    }

    [Theory]
    [InlineData("a=1", true)]
    [InlineData("a=1, b@vendor=x y,0c=/", true)]
    [InlineData("a=1,,b=2", true)]
    [InlineData("", false)]
    [InlineData("a", false)]
    [InlineData("a=", false)]
    [InlineData("=1", false)]
    [InlineData("A=1", false)]
    [InlineData("a=1,a=2", false)]
    [InlineData("a=1=2", false)]
    [InlineData("a=é", false)]
    public void Tells_a_state_from_what_is_none(string field, bool expected) => Assert.Equal(expected, TraceContext.IsState(field));

    [Fact]
    public void Takes_at_most_32_members_of_state()
    {
        Assert.True(TraceContext.IsState(string.Join(',', Enumerable.Range(0, 32).Select(i => $"k{i}=1"))));
        Assert.False(TraceContext.IsState(string.Join(',', Enumerable.Range(0, 33).Select(i => $"k{i}=1"))));
    }

    [Fact]
    public void Never_throws() => Prop.ForAll<string>(text =>
    {
        TraceContext.TryParse(text, out _);
        TraceContext.IsState(text ?? "");
        Heap.TakesAtMost(4096 + (32 * (text?.Length ?? 0)), () => TraceContext.IsState(text ?? ""));
        TraceContext.Continue("00-" + text);
    }).QuickCheckThrowOnFailure();
}
