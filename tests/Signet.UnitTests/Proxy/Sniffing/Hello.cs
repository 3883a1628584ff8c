using System.Buffers.Binary;
using System.Text;

namespace Signet.UnitTests.Proxy.Sniffing;

/// <summary>Writes ClientHellos byte by byte, right or wrong.</summary>
internal static class Hello
{
    public static byte[] Of(string? sni = null, params string[] alpn)
    {
        var extensions = new List<byte>();
        if (sni is not null)
        {
            Extension(extensions, 0, Vector16([0, .. Vector16(Encoding.ASCII.GetBytes(sni))]));
        }

        Extension(extensions, 43, [2, 3, 4]);
        if (alpn.Length > 0)
        {
            Extension(extensions, 16, Vector16([.. alpn.SelectMany(name => Vector8(Encoding.ASCII.GetBytes(name)))]));
        }

        return InRecords(Message([.. extensions]), int.MaxValue);
    }

    /// <summary>The handshake message with these extensions.</summary>
    public static byte[] Message(byte[] extensions)
    {
        byte[] body = [3, 3, .. new byte[32], 0, .. Vector16([0x13, 0x01, 0x13, 0x02]), .. Vector8([0]), .. Vector16(extensions)];
        return [1, (byte)(body.Length >> 16), (byte)(body.Length >> 8), (byte)body.Length, .. body];
    }

    /// <summary>The message in records of at most so many bytes.</summary>
    public static byte[] InRecords(byte[] message, int size)
    {
        var records = new List<byte>();
        foreach (var part in message.Chunk(Math.Min(size, 16 * 1024)))
        {
            records.AddRange([22, 3, 1, (byte)(part.Length >> 8), (byte)part.Length, .. part]);
        }

        return [.. records];
    }

    public static byte[] Vector8(byte[] bytes) => [(byte)bytes.Length, .. bytes];

    public static byte[] Vector16(byte[] bytes)
    {
        var length = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(length, (ushort)bytes.Length);
        return [.. length, .. bytes];
    }

    public static void Extension(List<byte> extensions, ushort type, byte[] body) => extensions.AddRange([(byte)(type >> 8), (byte)type, .. Vector16(body)]);
}
