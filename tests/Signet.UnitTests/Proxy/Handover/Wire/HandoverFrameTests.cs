using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Handover.Wire;

namespace Signet.UnitTests.Proxy.Handover.Wire;

public sealed class HandoverFrameTests
{
    public static TheoryData<string> Kinds => ["hello", "offer", "last offer", "take over", "yours", "serving", "refusal"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_frame_is_read_as_it_was_written(string kind)
    {
        var frame = Of(kind);

        Assert.True(HandoverFrame.TryRead(frame.Write(), out var read, out var problem), problem);
        Assert.Equal(frame, read);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void No_frame_is_read_that_is_cut_short_or_too_long(string kind)
    {
        var bytes = Of(kind).Write();
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.False(HandoverFrame.TryRead(bytes.AsSpan(0, length), out _, out var problem));
            Assert.NotEqual("", problem);
        }

        Assert.False(HandoverFrame.TryRead([.. bytes, 0], out _, out _));
    }

    [Fact]
    public void The_first_frame_stays_as_it_is_so_that_every_version_can_refuse_every_other() =>
        Assert.Equal("0100117369676e65742d68616e646f7665720001", Convert.ToHexStringLower(new HandoverFrame.Hello(1).Write()));

    [Fact]
    public void A_reason_is_cut_to_what_a_frame_holds()
    {
        var bytes = new HandoverFrame.Refusal(new string('é', 10_000)).Write();

        Assert.InRange(bytes.Length, 1, HandoverFrame.HeadLength + HandoverFrame.MaxBody);
        Assert.True(HandoverFrame.TryRead(bytes, out var read, out _));
        Assert.StartsWith(Signet.Identity.Spiffe.Printable.Of("éé"), ((HandoverFrame.Refusal)read).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_reason_cannot_write_to_the_operators_terminal()
    {
        Assert.True(HandoverFrame.TryRead(new HandoverFrame.Refusal("a\u001b[2Jb\n").Write(), out var read, out _));

        Assert.DoesNotContain(((HandoverFrame.Refusal)read).Reason, char.IsControl);
    }

    [Fact]
    public void Whatever_the_octets_are_reading_them_ends_in_a_frame_or_a_problem() =>
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes =>
        {
            foreach (var all in new[] { bytes, [(byte)(bytes.Length % 8), 0, (byte)bytes.Length, .. bytes] })
            {
                Heap.TakesAtMost((32 * 1024) + (64 * all.Length), () => HandoverFrame.TryRead(all, out _, out _));
                var isRead = HandoverFrame.TryRead(all, out var frame, out var problem);
                Assert.Equal(isRead, frame is not null);
                Assert.Equal(isRead, problem.Length == 0);
                Assert.True(!HandoverFrame.TryReadHead(all, out var length, out _) || length <= HandoverFrame.MaxBody);
            }
        }).QuickCheckThrowOnFailure();

    private static HandoverFrame Of(string kind) => kind switch
    {
        "hello" => new HandoverFrame.Hello(HandoverFrame.Version),
        "offer" => new HandoverFrame.Offer(IsLast: false, 1),
        "last offer" => new HandoverFrame.Offer(IsLast: true, int.MaxValue),
        "take over" => new HandoverFrame.TakeOver(),
        "yours" => new HandoverFrame.Yours(),
        "serving" => new HandoverFrame.Serving(),
        _ => new HandoverFrame.Refusal("process 7 is already taking over"),
    };
}
