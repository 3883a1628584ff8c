using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Http2;

namespace Signet.UnitTests.Proxy.Http2;

public sealed class FrameHeaderTests
{
    [Fact]
    public void Reads_what_was_written() => Prop.ForAll(
        Arb.From(
            from length in Gen.Choose(0, (1 << 24) - 1)
            from type in Gen.Choose(0, 255)
            from flags in Gen.Choose(0, 255)
            from id in Gen.Choose(0, int.MaxValue - 1)
            select new FrameHeader(length, (FrameType)type, (FrameFlags)flags, id)),
        header =>
        {
            var bytes = new byte[FrameHeader.Size];
            header.Write(bytes);
            Assert.True(FrameHeader.TryRead(bytes, out var read));
            Assert.Equal(header, read);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Waits_for_all_of_it()
    {
        Assert.False(FrameHeader.TryRead(new byte[8], out _));
        Assert.True(FrameHeader.TryRead(new byte[9], out _));
    }

    [Fact]
    public void Ignores_the_reserved_bit()
    {
        Assert.True(FrameHeader.TryRead([0, 0, 0, 0, 0, 0x80, 0, 0, 1], out var header));
        Assert.Equal(1, header.StreamId);
    }

    [Theory]
    [InlineData(FrameType.Data, FrameFlags.Padded, "02aabb0000", "aabb")]
    [InlineData(FrameType.Data, FrameFlags.Padded, "040000aabb", "")]
    [InlineData(FrameType.Data, FrameFlags.None, "aabb", "aabb")]
    [InlineData(FrameType.Headers, FrameFlags.Priority, "0000000010aa", "aa")]
    [InlineData(FrameType.Headers, FrameFlags.Priority | FrameFlags.Padded, "010000000010aa00", "aa")]
    public void Strips_padding_and_priority(FrameType type, FrameFlags flags, string payload, string expected)
    {
        ReadOnlySpan<byte> bytes = Convert.FromHexString(payload);
        Assert.True(new FrameHeader(bytes.Length, type, flags, 1).TryStrip(ref bytes));
        Assert.Equal(expected, Convert.ToHexStringLower(bytes));
    }

    [Theory]
    [InlineData(FrameType.Data, FrameFlags.Padded, "")]
    [InlineData(FrameType.Data, FrameFlags.Padded, "05aabb0000")]
    [InlineData(FrameType.Headers, FrameFlags.Priority, "00000000")]
    [InlineData(FrameType.Headers, FrameFlags.Priority | FrameFlags.Padded, "020000000010aa")]
    public void Refuses_more_padding_than_payload(FrameType type, FrameFlags flags, string payload)
    {
        ReadOnlySpan<byte> bytes = Convert.FromHexString(payload);
        Assert.False(new FrameHeader(bytes.Length, type, flags, 1).TryStrip(ref bytes));
    }
}
