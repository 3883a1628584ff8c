using System.Threading.Channels;
using Grpc.Core;
using Signet.Hosting;
using Signet.Hosting.Distribution;
using Signet.Rpc.Wire.Mesh;
using static Signet.UnitTests.Hosting.Distribution.MeshUpdatesTests;

namespace Signet.UnitTests.Hosting.Distribution;

public sealed class MeshPushTests : IAsyncDisposable
{
    private readonly Channel<MeshRequest> _said = Channel.CreateBounded<MeshRequest>(16);
    private readonly Channel<MeshUpdate> _heard = Channel.CreateBounded<MeshUpdate>(16);
    private readonly CancellationTokenSource _stop = new(TimeSpan.FromSeconds(30));
    private readonly ChangeSignal _changes = new();
    private readonly MeshAudience _audience = new(TimeProvider.System);
    private readonly List<string> _refusals = [];
    private readonly MeshSeat _seat;
    private readonly Task _running;
    private MeshOffer _offer = new(null, "");

    public MeshPushTests()
    {
        _seat = _audience.Open("proxy");
        _running = new MeshPush(new Reader(_said.Reader), new Writer(_heard.Writer), _seat, (revision, problem) => _refusals.Add($"{revision}: {problem}"))
            .RunAsync(() => Volatile.Read(ref _offer), [_changes], _stop.Token);
    }

    [Fact]
    public async Task Says_why_there_is_nothing_and_then_what_there_is_and_then_only_what_differs()
    {
        Offer(new MeshOffer(null, "broken"));
        Assert.Equal("broken", (await HearAsync()).Problem);
        Offer(new MeshOffer(Snapshot(5, Of("K/a/1", "x"), Of("K/a/2", "x")), ""));
        var first = await HearAsync();
        Assert.Equal((5UL, true, 2), (first.Revision, first.Afresh, first.Documents.Count));
        Assert.Equal((0UL, ""), ((await HearAsync()) is var over ? (over.Revision, over.Problem) : default));
        Offer(new MeshOffer(Snapshot(6, Of("K/a/1", "y")), ""));
        var second = await HearAsync();
        Assert.Equal((6UL, false, "K/a/1", "K/a/2"), (second.Revision, second.Afresh, second.Documents.Single().Name, second.Removed.Single()));
        await SayAsync(6, "");
        await Signet.Testing.Eventually.IsTrueAsync(() => _seat.Standing is { Acknowledged: 6, Refused: 0 }, "the acknowledgement");
        Assert.Equal(1, _audience.Acknowledged);
    }

    [Fact]
    public async Task What_was_refused_is_not_said_again_but_the_next_change_comes_afresh()
    {
        Offer(new MeshOffer(Snapshot(5, Of("K/a/1", "x")), ""));
        await HearAsync();
        await SayAsync(5, "no good");
        await Signet.Testing.Eventually.IsTrueAsync(() => _seat.Standing is { Refused: 5, Acknowledged: 0, Problem: "no good" }, "the refusal");
        Assert.Equal(["5: no good"], _refusals);
        Assert.False(_heard.Reader.TryRead(out _));
        Offer(new MeshOffer(Snapshot(6, Of("K/a/1", "x"), Of("K/a/2", "x")), ""));
        var second = await HearAsync();
        Assert.Equal((6UL, true, 2), (second.Revision, second.Afresh, second.Documents.Count));
        await SayAsync(6, "");
        await Signet.Testing.Eventually.IsTrueAsync(() => _seat.Standing is { Refused: 0, Acknowledged: 6, Problem: "" }, "the acknowledgement");
    }

    [Fact]
    public async Task A_refusal_of_what_was_replaced_meanwhile_brings_the_newest_afresh_at_once()
    {
        Offer(new MeshOffer(Snapshot(5, Of("K/a/1", "x")), ""));
        await HearAsync();
        Offer(new MeshOffer(Snapshot(6, Of("K/a/1", "y")), ""));
        Assert.False((await HearAsync()).Afresh);
        await SayAsync(5, "no good");
        var again = await HearAsync();
        Assert.Equal((6UL, true), (again.Revision, again.Afresh));
    }

    [Fact]
    public async Task An_acknowledgement_of_what_was_never_sent_counts_for_nothing()
    {
        Offer(new MeshOffer(Snapshot(5, Of("K/a/1", "x")), ""));
        await HearAsync();
        await SayAsync(4_000_000, "");
        await SayAsync(0, "nothing");
        await SayAsync(5, "");
        await Signet.Testing.Eventually.IsTrueAsync(() => _seat.Standing.Acknowledged == 5, "the acknowledgement");
        Assert.Empty(_refusals);
    }

    [Fact]
    public async Task Ends_when_the_listener_closes_its_half()
    {
        _said.Writer.Complete();
        await _running.WaitAsync(_stop.Token);
        _seat.Dispose();
        Assert.Empty(_audience.Standings);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        _seat.Dispose();
    }

    private void Offer(MeshOffer offer)
    {
        Volatile.Write(ref _offer, offer);
        _changes.Raise();
    }

    private Task<MeshUpdate> HearAsync() => _heard.Reader.ReadAsync(_stop.Token).AsTask();

    private Task SayAsync(ulong revision, string problem) => _said.Writer.WriteAsync(new MeshRequest { AcknowledgedRevision = revision, Problem = problem }, _stop.Token).AsTask();

    private sealed class Reader(ChannelReader<MeshRequest> from) : IAsyncStreamReader<MeshRequest>
    {
        public MeshRequest Current { get; private set; } = new();

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            if (!await from.WaitToReadAsync(cancellationToken))
            {
                return false;
            }

            Current = await from.ReadAsync(cancellationToken);
            return true;
        }
    }

    private sealed class Writer(ChannelWriter<MeshUpdate> to) : IServerStreamWriter<MeshUpdate>
    {
        public Task WriteAsync(MeshUpdate message) => to.WriteAsync(message).AsTask();

        public Task WriteAsync(MeshUpdate message, CancellationToken cancellationToken) => to.WriteAsync(message, cancellationToken).AsTask();
    }
}
