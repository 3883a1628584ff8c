using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

public sealed class GrpcStatusTests
{
    [Theory]
    [InlineData("1H", 3_600_000)]
    [InlineData("2M", 120_000)]
    [InlineData("3S", 3_000)]
    [InlineData("300m", 300)]
    [InlineData("5000u", 5)]
    [InlineData("7000000n", 7)]
    [InlineData("0m", 0)]
    public void Reads_how_long_a_caller_waits(string text, int milliseconds) => Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), Timeout(text));

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("m")]
    [InlineData("5s")]
    [InlineData("-5S")]
    [InlineData("+5S")]
    [InlineData("5 S")]
    [InlineData("1.5S")]
    [InlineData("123456789S")]
    public void Takes_anything_else_for_no_deadline(string text) => Assert.Null(Timeout(text));

    [Fact]
    public void The_longest_deadline_is_one() => Assert.NotNull(Timeout("99999999H"));

    [Theory]
    [InlineData(401, 16)]
    [InlineData(403, 7)]
    [InlineData(502, 14)]
    [InlineData(503, 14)]
    [InlineData(504, 14)]
    [InlineData(400, 13)]
    [InlineData(501, 12)]
    [InlineData(302, 2)]
    public void Stands_for_a_status_of_HTTP(int http, int grpc) => Assert.Equal(grpc, GrpcStatus.Of(http));

    [Theory]
    [InlineData("0", 0)]
    [InlineData("16", 16)]
    [InlineData("x", null)]
    [InlineData("-1", null)]
    [InlineData("99999999999", null)]
    public void Reads_the_status_of_a_response_if_it_is_one(string text, int? status)
    {
        Assert.Equal(status, GrpcStatus.Read([new("x-a", "b"), new("grpc-status", text)]));
        Assert.Null(GrpcStatus.Read([]));
    }

    private static TimeSpan? Timeout(string text) => GrpcStatus.TimeoutOf([new("grpc-timeout", text)]);
}
