using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.WorkloadApi;

namespace Signet.UnitTests.Agent.WorkloadApi;

public sealed class ConnectionsPerUserTests
{
    [Fact]
    public void One_user_cannot_take_them_all_and_what_is_closed_can_be_had_again()
    {
        var connections = new ConnectionsPerUser(NullLogger.Instance);
        Assert.All(Enumerable.Range(0, ConnectionsPerUser.Max), _ => Assert.True(connections.TryEnter(1000)));
        Assert.False(connections.TryEnter(1000));
        Assert.True(connections.TryEnter(1001));
        connections.Leave(1000);
        Assert.True(connections.TryEnter(1000));
        Assert.True(ConnectionsPerUser.Max < WorkloadEndpoint.MaxConnections);
    }

    [Fact]
    public void The_log_is_told_once_and_again_when_it_happens_again()
    {
        var connections = new ConnectionsPerUser(NullLogger.Instance);
        Assert.All(Enumerable.Range(0, ConnectionsPerUser.Max), _ => Assert.True(connections.TryEnter(1000)));
        Assert.True(connections.IsNews(1000));
        connections.Leave(1000);
        Assert.False(connections.IsNews(1000));
        Assert.All(Enumerable.Range(0, ConnectionsPerUser.Max / 2), _ => connections.Leave(1000));
        Assert.True(connections.IsNews(1000));
    }
}
