using Signet.Hosting.Admin;

namespace Signet.UnitTests.Hosting.Admin;

public sealed class ReadinessBoardTests
{
    [Fact]
    public void Is_not_ready_before_every_declared_condition_was_heard_of()
    {
        var board = new ReadinessBoard("svid", "policy");
        board.Set("svid", Readiness.Ready);
        Assert.False(board.IsReady);

        board.Set("policy", Readiness.Ready);
        Assert.True(board.IsReady);
    }

    [Fact]
    public void Loses_readiness_with_any_condition_and_says_why()
    {
        var board = new ReadinessBoard("svid");
        board.Set("svid", Readiness.Ready);
        board.Set("agent", Readiness.NotReady("agent socket is gone"));

        Assert.False(board.IsReady);
        Assert.Equal([new("agent", new(false, "agent socket is gone")), new("svid", Readiness.Ready)], board.Conditions);

        board.Remove("agent");
        Assert.True(board.IsReady);
    }

    [Fact]
    public void Answers_503_with_the_reasons_until_it_is_ready()
    {
        var board = new ReadinessBoard("svid");
        var route = AdminRoute.Ready(board);

        Assert.Equal((503, true), Ask("waiting for the agent", Readiness.NotReady("waiting for the agent")));
        Assert.Equal((200, true), Ask("\"ready\": true", Readiness.Ready));

        (int, bool) Ask(string expected, Readiness state)
        {
            board.Set("svid", state);
            var answer = route.Answer(new AdminRequest(new Dictionary<string, string>(), null), CancellationToken.None).Result;
            return (answer.Status, System.Text.Encoding.UTF8.GetString(answer.Body.Span).Contains(expected, StringComparison.Ordinal));
        }
    }
}
