using Signet.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class AccessTapsTests
{
    [Fact]
    public void Shows_records_to_those_whose_filter_they_pass_until_they_leave()
    {
        var taps = new AccessTaps();
        using var all = taps.TryOpen(AccessFilter.All)!;
        var denied = taps.TryOpen(AccessFilter.All with { IsDenied = true })!;
        taps.Offer(Records.Allowed());
        taps.Offer(Records.Denied());
        Assert.Equal((2, 1), (all.Records.Count, denied.Records.Count));

        denied.Dispose();
        taps.Offer(Records.Denied());

        Assert.Equal((3, 1), (all.Records.Count, denied.Records.Count));
    }

    [Fact]
    public void Drops_and_counts_what_a_slow_watcher_does_not_take()
    {
        var taps = new AccessTaps();
        using var slow = taps.TryOpen(AccessFilter.All)!;
        for (var i = 0; i < AccessTap.Capacity + 5; i++)
        {
            taps.Offer(Records.Allowed());
        }

        Assert.Equal((AccessTap.Capacity, 5, 0), (slow.Records.Count, slow.TakeDropped(), slow.TakeDropped()));
    }

    [Fact]
    public void Takes_no_more_watchers_than_it_has_room_for()
    {
        var taps = new AccessTaps();
        var open = Enumerable.Range(0, AccessTaps.MaxTaps).Select(_ => taps.TryOpen(AccessFilter.All)!).ToList();
        Assert.Null(taps.TryOpen(AccessFilter.All));

        open[0].Dispose();

        Assert.NotNull(taps.TryOpen(AccessFilter.All));
    }

    [Fact]
    public void Costs_nothing_when_nobody_watches()
    {
        var (taps, record) = (new AccessTaps(), Records.Allowed());
        taps.Offer(record);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            taps.Offer(record);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 999);
    }
}
