using System.Buffers;
using System.Buffers.Binary;
using Grpc.Core;

namespace Signet.Rpc.Protocol;

/// <summary>
/// One outgoing message in its envelope, whole before the first byte leaves, so that a message that can't be written never
/// leaves half of itself on the stream. The memory is borrowed and wiped when given back: messages carry keys.
/// </summary>
internal sealed class FrameBuffer : SerializationContext, IBufferWriter<byte>, IDisposable
{
    private readonly int _maxLength;
    private byte[]? _bytes;
    private int _length;
    private int _written;

    private FrameBuffer(int maxLength) => _maxLength = maxLength;

    /// <summary>Envelope and message; valid until disposed.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, _written);

    /// <summary>Writes a message of at most so many bytes with its generated code.</summary>
    /// <exception cref="RpcException">ResourceExhausted: the message is longer. Nothing was sent.</exception>
    public static FrameBuffer Of<T>(Marshaller<T> marshaller, T message, int maxLength)
    {
        var frame = new FrameBuffer(maxLength);
        try
        {
            marshaller.ContextualSerializer(message, frame);
            return frame._written == frame._length
                ? frame
                : throw new InvalidOperationException($"a {typeof(T).Name} announced {frame._length} bytes and wrote {frame._written}");
        }
        catch
        {
            frame.Dispose();
            throw;
        }
    }

    public override void SetPayloadLength(int payloadLength)
    {
        if (payloadLength > _maxLength)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, $"the message to send has {payloadLength} bytes; the limit is {_maxLength}"));
        }

        _length = Frame.HeaderLength + payloadLength;
        _bytes = ArrayPool<byte>.Shared.Rent(_length);
        _bytes[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(1), payloadLength);
        _written = Frame.HeaderLength;
    }

    public override void Complete(byte[] payload)
    {
        SetPayloadLength(payload.Length);
        payload.CopyTo(GetSpan());
        Advance(payload.Length);
    }

    public override void Complete()
    {
    }

    public override IBufferWriter<byte> GetBufferWriter() => this;

    public void Advance(int count) => _written += count;

    public Memory<byte> GetMemory(int sizeHint = 0) => _bytes.AsMemory(_written);

    public Span<byte> GetSpan(int sizeHint = 0) => _bytes.AsSpan(_written);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _bytes, null) is { } bytes)
        {
            ArrayPool<byte>.Shared.Return(bytes, clearArray: true);
        }
    }
}
