using Signet.Hosting;

namespace Signet.UnitTests.Hosting;

public sealed class PlacesTests
{
    [Fact]
    public void Are_the_system_folders_for_root()
    {
        Assert.True(Places.TryChoose(null, isRoot: true, "/root", out var places, out _));
        Assert.Equal(
            ("/run/signet/server.sock", "/run/signet/agent.sock", "/run/signet/agent-admin.sock", "/var/lib/signet/server", "/var/lib/signet/agent"),
            (places.ServerSocket, places.AgentSocket, places.AgentAdminSocket, places.ServerState, places.AgentState));
    }

    [Fact]
    public void Lie_in_the_home_folder_for_everybody_else()
    {
        Assert.True(Places.TryChoose(null, isRoot: false, "/home/ada", out var places, out _));
        Assert.Equal(("/home/ada/.signet/run/server.sock", "/home/ada/.signet/lib/agent"), (places.ServerSocket, places.AgentState));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Lie_where_home_says_also_for_root(bool isRoot)
    {
        Assert.True(Places.TryChoose("/srv/mesh", isRoot, "/home/ada", out var places, out _));
        Assert.Equal(("/srv/mesh/run/agent.sock", "/srv/mesh/lib/server"), (places.AgentSocket, places.ServerState));
    }

    [Fact]
    public void Are_absolute_also_when_home_is_not()
    {
        Assert.True(Places.TryChoose("mesh", isRoot: false, null, out var places, out _));
        Assert.Equal(Path.Combine(Directory.GetCurrentDirectory(), "mesh/run"), places.Run);
    }

    [Fact]
    public void Are_not_guessed_for_a_user_without_a_home()
    {
        Assert.False(Places.TryChoose(null, isRoot: false, "", out var places, out var problem));
        Assert.Null(places);
        Assert.Contains("--home", problem);
    }
}
