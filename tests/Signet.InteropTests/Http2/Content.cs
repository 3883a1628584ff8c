using System.Security.Cryptography;

namespace Signet.InteropTests.Http2;

/// <summary>Octets that both sides of a test know without sending them first.</summary>
internal static class Content
{
    private const int Period = 64 * 1021;
    private static readonly byte[] Pattern = MakePattern();

    /// <summary>The octets from an offset on, as many as the buffer takes.</summary>
    public static void Fill(Span<byte> buffer, long offset)
    {
        while (!buffer.IsEmpty)
        {
            var from = Pattern.AsSpan((int)(offset % Period));
            var count = Math.Min(from.Length, buffer.Length);
            from[..count].CopyTo(buffer);
            buffer = buffer[count..];
            offset += count;
        }
    }

    /// <summary>The lower-case hex SHA-256 of the first octets.</summary>
    public static string HashOf(long length)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Period];
        for (long offset = 0; offset < length; offset += buffer.Length)
        {
            var count = (int)Math.Min(buffer.Length, length - offset);
            Fill(buffer.AsSpan(0, count), offset);
            hash.AppendData(buffer, 0, count);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public static async Task<string> HashOfAsync(Stream stream)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Period];
        while (await stream.ReadAsync(buffer) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public static string WriteFile(string path, long length)
    {
        using var file = File.Create(path);
        var buffer = new byte[Period];
        for (long offset = 0; offset < length; offset += buffer.Length)
        {
            var count = (int)Math.Min(buffer.Length, length - offset);
            Fill(buffer.AsSpan(0, count), offset);
            file.Write(buffer, 0, count);
        }

        return path;
    }

    /// <summary>As a stream to be read once.</summary>
    public sealed class Source(long length) : Stream
    {
        private long _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            var count = (int)Math.Min(buffer.Length, length - _position);
            Fill(buffer[..count], _position);
            _position += count;
            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    private static byte[] MakePattern()
    {
        var pattern = new byte[Period];
        new Random(20).NextBytes(pattern);
        return pattern;
    }
}
