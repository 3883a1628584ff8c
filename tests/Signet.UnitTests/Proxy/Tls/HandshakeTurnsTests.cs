using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Tls;

public sealed class HandshakeTurnsTests
{
    private readonly ManualTimeProvider _clock = new();

    [Fact]
    public async Task A_handshake_waits_while_others_have_their_turn()
    {
        using var turns = new HandshakeTurns(2, _clock);
        using var first = await turns.TakeAsync(CancellationToken.None);
        using var second = await turns.TakeAsync(CancellationToken.None);

        var third = turns.TakeAsync(CancellationToken.None).AsTask();
        _clock.Advance(HandshakeTurns.Length - TimeSpan.FromMilliseconds(1));

        Assert.False(third.IsCompleted);
    }

    [Fact]
    public async Task A_handshake_that_ends_gives_its_turn_to_the_next()
    {
        using var turns = new HandshakeTurns(1, _clock);
        var first = await turns.TakeAsync(CancellationToken.None);
        var second = turns.TakeAsync(CancellationToken.None).AsTask();

        first.Dispose();

        using var turn = await second;
        Assert.Equal(0, turns.Free);
    }

    [Fact]
    public async Task A_handshake_that_stands_still_loses_its_turn_to_the_next()
    {
        using var turns = new HandshakeTurns(1, _clock);
        using var silent = await turns.TakeAsync(CancellationToken.None);
        var next = turns.TakeAsync(CancellationToken.None).AsTask();

        _clock.Advance(HandshakeTurns.Length);

        using var turn = await next;
        Assert.Equal(0, turns.Free);
    }

    [Fact]
    public async Task A_turn_is_given_back_once_however_it_ended()
    {
        using var turns = new HandshakeTurns(2, _clock);
        var turn = await turns.TakeAsync(CancellationToken.None);

        _clock.Advance(HandshakeTurns.Length);
        turn.Dispose();
        turn.Dispose();
        _clock.Advance(HandshakeTurns.Length);

        Assert.Equal((2, 0), (turns.Free, _clock.WaitingTimers));
    }

    [Fact]
    public async Task Who_gives_up_waiting_takes_nobodys_turn()
    {
        using var turns = new HandshakeTurns(1, _clock);
        var first = await turns.TakeAsync(CancellationToken.None);
        using var enough = new CancellationTokenSource();
        var second = turns.TakeAsync(enough.Token).AsTask();

        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        first.Dispose();

        Assert.Equal(1, turns.Free);
    }
}
