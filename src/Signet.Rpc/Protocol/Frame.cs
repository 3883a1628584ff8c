using System.Buffers;
using System.Buffers.Binary;
using Grpc.Core;

namespace Signet.Rpc.Protocol;

/// <summary>
/// The envelope of one message. gRPC over HTTP/2, "Length-Prefixed-Message":
/// <code>
/// Length-Prefixed-Message → Compressed-Flag Message-Length Message
/// Compressed-Flag → 0 / 1         ; one byte; 1 needs an agreed grpc-encoding, which we never agree to
/// Message-Length → {length}       ; four bytes, big-endian
/// </code>
/// </summary>
internal static class Frame
{
    /// <summary>Bytes before the message.</summary>
    public const int HeaderLength = 5;

    /// <summary>The limit on one message unless a channel or server says otherwise: 4 MiB, as in other gRPC implementations.</summary>
    public const int DefaultMaxMessageLength = 4 * 1024 * 1024;

    /// <summary>Takes one message off the front of what has arrived.</summary>
    /// <param name="arrived">The bytes so far; on true, what follows the message.</param>
    /// <param name="maxLength">The longest message to accept, in bytes. A longer one is refused by its header alone.</param>
    /// <param name="message">The message, when the answer is true. It points into what arrived.</param>
    /// <returns>False when more bytes are needed.</returns>
    /// <exception cref="RpcException">Internal: not a frame. ResourceExhausted: too long.</exception>
    public static bool TryTake(ref ReadOnlySequence<byte> arrived, int maxLength, out ReadOnlySequence<byte> message)
    {
        message = default;
        if (arrived.Length < HeaderLength)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[HeaderLength];
        arrived.Slice(0, HeaderLength).CopyTo(header);
        if (header[0] != 0)
        {
            throw new RpcException(new Status(StatusCode.Internal, header[0] == 1
                ? "the peer sent a compressed message although no compression was agreed"
                : $"the peer sent {header[0]} where a message begins; expected 0"));
        }

        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (length > (uint)maxLength)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, $"the received message has {length} bytes; the limit is {maxLength}"));
        }

        if (arrived.Length < HeaderLength + length)
        {
            return false;
        }

        message = arrived.Slice(HeaderLength, length);
        arrived = arrived.Slice(message.End);
        return true;
    }

    /// <summary>Reads a message with its generated code.</summary>
    /// <exception cref="RpcException">Internal: the bytes are not such a message.</exception>
    public static T Parse<T>(Marshaller<T> marshaller, ReadOnlySequence<byte> message)
    {
        try
        {
            return marshaller.ContextualDeserializer(new Payload(message));
        }
        catch (Google.Protobuf.InvalidProtocolBufferException e)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"the received message can't be parsed as {typeof(T).Name}", e));
        }
    }

    private sealed class Payload(ReadOnlySequence<byte> message) : DeserializationContext
    {
        public override int PayloadLength => (int)message.Length;

        public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => message;

        public override byte[] PayloadAsNewBuffer() => message.ToArray();
    }
}
