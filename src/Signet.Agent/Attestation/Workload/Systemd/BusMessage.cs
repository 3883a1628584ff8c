using System.Buffers.Binary;
using System.Text;

namespace Signet.Agent.Attestation.Workload.Systemd;

/// <summary>An answer on the bus.</summary>
/// <param name="ReplyTo">The number of the call that it answers; 0 for none.</param>
/// <param name="Error">The name of the error; empty when it is none.</param>
/// <param name="Body">What it says.</param>
internal sealed record BusReply(uint ReplyTo, string Error, ReadOnlyMemory<byte> Body);

/// <summary>
/// The few messages of D-Bus that are needed to read a text property (D-Bus Specification, "Marshaling (Wire Format)" and "Message Protocol"), little-endian. Codec only; bounded.
/// </summary>
internal static class BusMessage
{
    public const int HeadLength = 16;

    /// <summary>The longest message that is read, in bytes.</summary>
    public const int MaxLength = 64 * 1024;

    private const byte Call = 1, Error = 3, Version = 1;
    private const byte PathField = 1, InterfaceField = 2, MemberField = 3, ErrorField = 4, ReplyField = 5, DestinationField = 6, SignatureField = 8;

    /// <summary>A call with texts as arguments.</summary>
    public static byte[] EncodeCall(uint serial, string destination, string path, string face, string member, params IReadOnlyList<string> arguments)
    {
        var body = new Writer();
        foreach (var argument in arguments)
        {
            body.Text(argument);
        }

        var fields = new Writer();
        fields.Field(PathField, 'o', path);
        fields.Field(InterfaceField, 's', face);
        fields.Field(MemberField, 's', member);
        fields.Field(DestinationField, 's', destination);
        if (arguments.Count > 0)
        {
            fields.Field(SignatureField, 'g', new string('s', arguments.Count));
        }

        var message = new Writer();
        message.Bytes([(byte)'l', Call, 0, Version]);
        message.Number((uint)body.Length);
        message.Number(serial);
        message.Number((uint)fields.Length);
        message.Bytes(fields.ToArray());
        message.Align(8);
        message.Bytes(body.ToArray());
        return message.ToArray();
    }

    /// <summary>How long a message is altogether. Never throws.</summary>
    /// <param name="head">Its first <see cref="HeadLength"/> bytes.</param>
    /// <param name="length">In bytes.</param>
    public static bool TryReadLength(ReadOnlySpan<byte> head, out int length)
    {
        length = 0;
        if (head[0] != (byte)'l' || head[3] != Version)
        {
            return false;
        }

        var (body, fields) = (BinaryPrimitives.ReadUInt32LittleEndian(head[4..]), BinaryPrimitives.ReadUInt32LittleEndian(head[12..]));
        if (body > MaxLength || fields > MaxLength)
        {
            return false;
        }

        length = HeadLength + Aligned((int)fields, 8) + (int)body;
        return length <= MaxLength;
    }

    /// <summary>Reads a whole message. Never throws.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> message, out BusReply? reply)
    {
        reply = null;
        var fieldsEnd = HeadLength + (int)BinaryPrimitives.ReadUInt32LittleEndian(message.Span[12..]);
        var reader = new Reader(message.Span[..fieldsEnd], HeadLength);
        var (replyTo, error) = (0u, "");
        while (!reader.IsAtEnd)
        {
            if (!reader.Align(8) || !reader.Byte(out var field) || !reader.Signature(out var type))
            {
                return false;
            }

            var isRead = type switch
            {
                "u" => reader.Number(out var number) && Keep(field == ReplyField, ref replyTo, number),
                "s" or "o" => reader.Text(out var text) && Keep(field == ErrorField, ref error, text),
                "g" => reader.Signature(out _),
                _ => false,
            };
            if (!isRead)
            {
                return false;
            }
        }

        reply = new BusReply(replyTo, message.Span[1] == Error && error.Length == 0 ? "error" : error, message[Aligned(fieldsEnd, 8)..]);
        return true;
    }

    /// <summary>Reads a body that is a variant with a text in it. Never throws.</summary>
    public static bool TryReadTextVariant(ReadOnlyMemory<byte> body, out string text)
    {
        var reader = new Reader(body.Span, 0);
        text = "";
        return reader.Signature(out var type) && type == "s" && reader.Text(out text);
    }

    private static bool Keep<T>(bool isIt, ref T into, T value)
    {
        into = isIt ? value : into;
        return true;
    }

    private static int Aligned(int offset, int boundary) => (offset + boundary - 1) / boundary * boundary;

    private sealed class Writer
    {
        private readonly List<byte> _bytes = [];

        public int Length => _bytes.Count;

        public byte[] ToArray() => [.. _bytes];

        public void Bytes(ReadOnlySpan<byte> bytes) => _bytes.AddRange(bytes);

        public void Align(int boundary)
        {
            while (_bytes.Count % boundary != 0)
            {
                _bytes.Add(0);
            }
        }

        public void Number(uint number)
        {
            Align(4);
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, number);
            _bytes.AddRange(bytes);
        }

        public void Text(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            Number((uint)bytes.Length);
            _bytes.AddRange(bytes);
            _bytes.Add(0);
        }

        /// <summary>A field of the head: its number, and a variant.</summary>
        public void Field(byte field, char type, string text)
        {
            // Fields begin at a multiple of 8 of the whole message, and so do they here, since the head before them is 16 long.
            Align(8);
            Bytes([field, 1, (byte)type, 0]);
            if (type == 'g')
            {
                Bytes([(byte)text.Length, .. Encoding.ASCII.GetBytes(text), 0]);
            }
            else
            {
                Text(text);
            }
        }
    }

    private ref struct Reader(ReadOnlySpan<byte> bytes, int offset)
    {
        private readonly ReadOnlySpan<byte> _bytes = bytes;
        private int _offset = offset;

        public readonly bool IsAtEnd => _offset >= _bytes.Length;

        public bool Align(int boundary)
        {
            _offset = Aligned(_offset, boundary);
            return _offset <= _bytes.Length;
        }

        public bool Byte(out byte value)
        {
            value = 0;
            if (IsAtEnd)
            {
                return false;
            }

            value = _bytes[_offset++];
            return true;
        }

        public bool Number(out uint number)
        {
            number = 0;
            if (!Align(4) || _bytes.Length - _offset < 4)
            {
                return false;
            }

            number = BinaryPrimitives.ReadUInt32LittleEndian(_bytes[_offset..]);
            _offset += 4;
            return true;
        }

        public bool Text(out string text)
        {
            text = "";
            return Number(out var length) && length < MaxLength && Take((int)length, out text);
        }

        public bool Signature(out string type)
        {
            type = "";
            return Byte(out var length) && Take(length, out type);
        }

        // Both kinds of text end with a zero that is not counted.
        private bool Take(int length, out string text)
        {
            text = "";
            if (_bytes.Length - _offset <= length || _bytes[_offset + length] != 0)
            {
                return false;
            }

            text = Encoding.UTF8.GetString(_bytes.Slice(_offset, length));
            _offset += length + 1;
            return true;
        }
    }
}
