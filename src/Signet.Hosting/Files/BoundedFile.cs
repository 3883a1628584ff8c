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
        var length = 0;
        try
        {
            int read;
            while (length <= maxBytes && (read = file.Read(buffer, length, maxBytes + 1 - length)) > 0)
            {
                length += read;
            }

            return length <= maxBytes ? buffer[..length] : throw new IOException($"it is larger than {SizeText.Format(maxBytes)}");
        }
        finally
        {
            // It may have been a key. Clearing the rest too would cost more than reading a small file.
            buffer.AsSpan(0, length).Clear();
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
