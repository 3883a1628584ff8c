using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting.PeerCredentials;

namespace Signet.UnitTests.Hosting.PeerCredentials;

public sealed class ProcessStartTimeTests
{
    private const string Fields = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";

    [Theory]
    [InlineData("77 (name)" + Fields)]
    [InlineData("77 (a name) S 9 (x)" + Fields)]
    [InlineData("77 ())" + Fields)]
    [InlineData("77 ()" + Fields)]
    public void Reads_field_22_whatever_the_command_is_called(string stat)
    {
        Assert.True(ProcessStartTime.TryParse(Encoding.UTF8.GetBytes(stat), out var startTime));
        Assert.Equal(4242ul, startTime);
    }

    [Theory]
    [InlineData("")]
    [InlineData("77 name S 1 2")]
    [InlineData("77 (name) S 1 2 3")]
    [InlineData("77 (name) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x 20")]
    [InlineData("77 (name) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 -1 20")]
    public void Refuses_what_has_none(string stat) => Assert.False(ProcessStartTime.TryParse(Encoding.UTF8.GetBytes(stat), out _));

    [Fact]
    public void Never_throws() => Prop.ForAll<byte[]>(stat =>
    {
        ProcessStartTime.TryParse(stat, out _);
        return true;
    }).QuickCheckThrowOnFailure();
}
