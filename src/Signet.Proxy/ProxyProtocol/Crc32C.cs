using System.Numerics;

namespace Signet.Proxy.ProxyProtocol;

/// <summary>The Castagnoli checksum as RFC 4960 appendix B defines it.</summary>
internal static class Crc32C
{
    /// <summary>Of a header whose own checksum, four bytes at <paramref name="checksumAt"/>, counts as zero.</summary>
    public static uint OfHeader(ReadOnlySpan<byte> header, int checksumAt) =>
        ~Add(Add(Add(uint.MaxValue, header[..checksumAt]), [0, 0, 0, 0]), header[(checksumAt + 4)..]);

    private static uint Add(uint checksum, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            checksum = BitOperations.Crc32C(checksum, value);
        }

        return checksum;
    }
}
