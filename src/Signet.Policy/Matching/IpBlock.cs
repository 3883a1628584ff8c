using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Signet.Policy;

/// <summary>An address as a number; an IPv4 address in IPv6 clothes is the IPv4 address.</summary>
internal readonly record struct IpKey(UInt128 Bits, byte Width)
{
    public bool IsKnown => Width != 0;

    /// <summary>The address as people write it.</summary>
    public override string ToString()
    {
        var bytes = new byte[Width / 8];
        var bits = Bits;
        for (var i = bytes.Length - 1; i >= 0; i--, bits >>= 8)
        {
            bytes[i] = (byte)bits;
        }

        return bytes.Length == 0 ? "unknown" : new IPAddress(bytes).ToString();
    }

    public static IpKey Of(IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (address is null || !address.TryWriteBytes(bytes, out var length))
        {
            return default;
        }

        UInt128 bits = 0;
        foreach (var b in bytes[..length])
        {
            bits = (bits << 8) | b;
        }

        return length == 16 && bits >> 32 == 0xffff ? new IpKey(bits & 0xffffffff, 32) : new IpKey(bits, (byte)(length * 8));
    }
}

/// <summary>An address or a range in CIDR notation. Bits behind the prefix don't count; <see cref="HasHostBits"/> tells that there were some.</summary>
internal readonly record struct IpBlock(IpKey Network, int Prefix, bool HasHostBits)
{
    private const int MaxLength = 64;

    public bool Contains(IpKey address) => address.Width == Network.Width && Masked(address.Bits, Network.Width, Prefix) == Network.Bits;

    public static bool TryParse(string text, out IpBlock block, [NotNullWhen(false)] out string? problem)
    {
        block = default;
        problem = null;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var host = slash < 0 ? text : text[..slash];
        // IPAddress reads "10.1" and "0x0a000001" as well; a policy that means those is a policy with a slip in it.
        if (text.Length > MaxLength || !IPAddress.TryParse(host, out var address) || host.Contains('%', StringComparison.Ordinal) || host.Contains('[', StringComparison.Ordinal)
            || (address.GetAddressBytes().Length == 4 && !string.Equals(address.ToString(), host, StringComparison.Ordinal)))
        {
            problem = "an IP address or a range like 10.0.0.0/8 or 2001:db8::/32 was expected";
            return false;
        }

        var width = address.GetAddressBytes().Length * 8;
        var prefix = width;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out prefix) || prefix > width || text.Length - slash > 4))
        {
            problem = $"the prefix length must be a number from 0 to {width}";
            return false;
        }

        var key = IpKey.Of(address);
        prefix -= width - key.Width;
        if (prefix < 0)
        {
            problem = "a range of IPv4-mapped addresses must lie within ::ffff:0:0/96; write it as IPv4";
            return false;
        }

        var network = Masked(key.Bits, key.Width, prefix);
        block = new IpBlock(key with { Bits = network }, prefix, network != key.Bits);
        return true;
    }

    /// <summary>The range without bits that don't count.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Network}/{Prefix}");

    private static UInt128 Masked(UInt128 bits, int width, int prefix) => prefix == 0 ? 0 : bits >> (width - prefix) << (width - prefix);
}
