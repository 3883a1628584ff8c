using System.Buffers;
using Signet.Hosting.Configuration;

namespace Signet.Hosting.Files;

/// <summary>Reads a file that must not be larger than it should be.</summary>
internal static class BoundedFile
{
    /// <exception cref="IOException">The file can't be read, or is larger than <paramref name="maxBytes"/>.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not read it, or it is a folder.</exception>
    public static byte[] Read(string path, int maxBytes)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        var buffer = ArrayPool<byte>.Shared.Rent(maxBytes + 1);
        try
        {
            var read = file.ReadAtLeast(buffer.AsSpan(0, maxBytes + 1), maxBytes + 1, throwOnEndOfStream: false);
            return read <= maxBytes ? buffer[..read] : throw new IOException($"it is larger than {SizeText.Format(maxBytes)}");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
    }
}
