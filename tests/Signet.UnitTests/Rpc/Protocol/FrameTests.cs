using System.Buffers;
using System.IO.Pipelines;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Grpc.Core;
using Signet.Rpc.Protocol;

namespace Signet.UnitTests.Rpc.Protocol;

public sealed class FrameTests
{
    private const int MaxLength = 1000;

    private static readonly Marshaller<byte[]> Raw = Marshallers.Create<byte[]>(
        (message, context) => context.Complete(message), context => context.PayloadAsNewBuffer());

    [Fact]
    public void Puts_the_length_before_the_message() => Assert.Equal([0, 0, 0, 0, 3, 1, 2, 3], FrameOf([1, 2, 3]));

    [Fact]
    public void What_is_written_is_read_again() => Prop.ForAll<byte[]>(message =>
    {
        var arrived = new ReadOnlySequence<byte>(FrameOf(message));
        return Frame.TryTake(ref arrived, message.Length, out var taken) && taken.ToArray().SequenceEqual(message) && arrived.IsEmpty;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public async Task Reads_messages_however_they_are_cut()
    {
        byte[][] messages = [[1, 2, 3], [], [.. Enumerable.Repeat((byte)9, 300)], [4]];
        byte[] stream = [.. messages.SelectMany(FrameOf)];
        for (var cut = 0; cut <= stream.Length; cut++)
        {
            Assert.Equal(messages, await ReadAllAsync(stream[..cut], stream[cut..]));
        }
    }

    [Fact]
    public async Task Reads_messages_that_arrive_byte_by_byte()
    {
        byte[][] messages = [[1, 2, 3], [], [4, 5]];
        Assert.Equal(messages, await ReadAllAsync([.. messages.SelectMany(FrameOf).Select(b => new[] { b })]));
    }

    [Fact]
    public async Task A_stream_that_ends_inside_a_message_is_broken_wherever_it_ends()
    {
        var frame = FrameOf([1, 2, 3]);
        for (var length = 1; length < frame.Length; length++)
        {
            var broken = await Assert.ThrowsAsync<RpcException>(() => ReadAllAsync(frame[..length]));
            Assert.Equal(StatusCode.Internal, broken.StatusCode);
        }
    }

    [Theory]
    [InlineData(new byte[] { 1, 0, 0, 0, 0 }, StatusCode.Internal)]
    [InlineData(new byte[] { 255, 0, 0, 0, 0 }, StatusCode.Internal)]
    [InlineData(new byte[] { 0, 0, 0, 3, 233 }, StatusCode.ResourceExhausted)]
    [InlineData(new byte[] { 0, 127, 255, 255, 255 }, StatusCode.ResourceExhausted)]
    [InlineData(new byte[] { 0, 255, 255, 255, 255 }, StatusCode.ResourceExhausted)]
    public async Task Refuses_a_bad_header_before_the_message_comes(byte[] header, StatusCode expected) =>
        Assert.Equal(expected, (await Assert.ThrowsAsync<RpcException>(() => ReadAllAsync(header))).StatusCode);

    [Fact]
    public async Task Takes_a_message_of_exactly_the_limit() => Assert.Equal(MaxLength, (await ReadAllAsync(FrameOf(new byte[MaxLength]))).Single().Length);

    [Fact]
    public void Garbage_is_refused_or_incomplete_and_nothing_else() => Prop.ForAll<byte[]>(garbage =>
    {
        var arrived = new ReadOnlySequence<byte>(garbage);
        try
        {
            return !Frame.TryTake(ref arrived, MaxLength, out var taken) || taken.Length <= MaxLength;
        }
        catch (RpcException e)
        {
            return e.StatusCode is StatusCode.Internal or StatusCode.ResourceExhausted;
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void What_is_not_protobuf_is_an_internal_error_of_the_peer()
    {
        var marshaller = Marshallers.Create<Signet.Rpc.Wire.Health.HealthCheckRequest>(
            (message, context) => context.Complete(message.ToByteArray()),
            context => Signet.Rpc.Wire.Health.HealthCheckRequest.Parser.ParseFrom(context.PayloadAsReadOnlySequence()));
        var failure = Assert.Throws<RpcException>(() => Frame.Parse(marshaller, new ReadOnlySequence<byte>([255, 255])));
        Assert.Equal(StatusCode.Internal, failure.StatusCode);
    }

    [Fact]
    public void A_message_too_long_to_send_is_refused()
    {
        using var fits = FrameBuffer.Of(Raw, new byte[MaxLength], MaxLength);
        Assert.Equal(MaxLength + Frame.HeaderLength, fits.Bytes.Length);
        Assert.Equal(
            StatusCode.ResourceExhausted,
            Assert.Throws<RpcException>(() => FrameBuffer.Of(Raw, new byte[MaxLength + 1], MaxLength)).StatusCode);
    }

    [Fact]
    public void A_message_that_announces_another_length_than_it_has_is_a_mistake_of_ours()
    {
        var wrong = Marshallers.Create<byte[]>(
            (message, context) =>
            {
                context.SetPayloadLength(message.Length + 1);
                context.GetBufferWriter().Write(message);
                context.Complete();
            },
            context => context.PayloadAsNewBuffer());
        Assert.Throws<InvalidOperationException>(() => FrameBuffer.Of(wrong, [1, 2], MaxLength));
    }

    private static byte[] FrameOf(byte[] message)
    {
        using var frame = FrameBuffer.Of(Raw, message, int.MaxValue - Frame.HeaderLength);
        return frame.Bytes.ToArray();
    }

    private static async Task<List<byte[]>> ReadAllAsync(params byte[][] pieces)
    {
        var pipe = new Pipe();
        var writing = WriteAsync();
        var messages = new List<byte[]>();
        while (await FrameReader.ReadAsync(pipe.Reader, Raw, MaxLength, CancellationToken.None) is { } message)
        {
            messages.Add(message);
        }

        await writing;
        return messages;

        async Task WriteAsync()
        {
            foreach (var piece in pieces)
            {
                await pipe.Writer.WriteAsync(piece);
                await Task.Yield();
            }

            await pipe.Writer.CompleteAsync();
        }
    }
}
