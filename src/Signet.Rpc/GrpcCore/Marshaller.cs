using System.Buffers;

namespace Grpc.Core;

/// <summary>Where a message is written to. The length comes first, then the bytes, then <see cref="Complete()"/>.</summary>
public abstract class SerializationContext
{
    /// <summary>All of it at once.</summary>
    public abstract void Complete(byte[] payload);

    /// <param name="payloadLength">Bytes that will follow.</param>
    public abstract void SetPayloadLength(int payloadLength);

    public abstract IBufferWriter<byte> GetBufferWriter();

    public abstract void Complete();
}

/// <summary>Where a message is read from. Valid only while it is being read.</summary>
public abstract class DeserializationContext
{
    public abstract int PayloadLength { get; }

    public abstract ReadOnlySequence<byte> PayloadAsReadOnlySequence();

    public abstract byte[] PayloadAsNewBuffer();
}

/// <summary>How one message type becomes bytes and comes back.</summary>
public sealed class Marshaller<T>
{
    public Marshaller(Action<T, SerializationContext> serializer, Func<DeserializationContext, T> deserializer)
    {
        ContextualSerializer = serializer;
        ContextualDeserializer = deserializer;
    }

    public Action<T, SerializationContext> ContextualSerializer { get; }

    public Func<DeserializationContext, T> ContextualDeserializer { get; }
}

/// <summary>Makes marshallers.</summary>
public static class Marshallers
{
    public static Marshaller<T> Create<T>(Action<T, SerializationContext> serializer, Func<DeserializationContext, T> deserializer) =>
        new(serializer, deserializer);
}
