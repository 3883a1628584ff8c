using System.Collections.Frozen;
using Grpc.Core;

namespace Signet.Rpc.Protocol;

/// <summary>
/// Metadata as HTTP headers. gRPC over HTTP/2:
/// <code>
/// Custom-Metadata → Binary-Header / ASCII-Header
/// Binary-Header → {Header-Name "-bin" } {base64 encoded value}   ; padding accepted, not sent; a comma joins several
/// ASCII-Header → Header-Name ASCII-Value                         ; %x20-%x7E
/// </code>
/// Names of the protocol's own (<c>grpc-*</c>) and of HTTP are never metadata. How many there may be is limited by HTTP.
/// </summary>
internal static class MetadataHeaders
{
    private static readonly FrozenSet<string> HttpNames = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "te", "host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "date", "server", "trailer");

    /// <summary>Whether a header belongs to the protocol and not to the caller.</summary>
    public static bool IsReserved(string name) =>
        name.StartsWith(':')
        || HttpNames.Contains(name)
        || (name.StartsWith("grpc-", StringComparison.OrdinalIgnoreCase) && !name.Equals("grpc-status-details-bin", StringComparison.OrdinalIgnoreCase));

    /// <summary>The value of an entry as a header has it.</summary>
    public static string ValueOf(Metadata.Entry entry) =>
        entry.IsBinary ? Convert.ToBase64String(entry.ValueBytes).TrimEnd('=') : entry.Value;

    /// <summary>Adds a received header to the metadata, unless it is reserved.</summary>
    /// <returns>False when it is not one that a peer may send; the metadata is then as before.</returns>
    public static bool TryAdd(Metadata metadata, string name, string value)
    {
        if (IsReserved(name))
        {
            return true;
        }

        if (!Metadata.Entry.IsKey(name))
        {
            return false;
        }

        if (!name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
        {
            if (!Metadata.Entry.IsText(value))
            {
                return false;
            }

            metadata.Add(name, value);
            return true;
        }

        var values = new List<byte[]>();
        foreach (var part in value.Split(','))
        {
            if (!TryDecode(part.AsSpan().Trim(), out var bytes))
            {
                return false;
            }

            values.Add(bytes);
        }

        values.ForEach(bytes => metadata.Add(name, bytes));
        return true;
    }

    private static bool TryDecode(ReadOnlySpan<char> text, out byte[] bytes)
    {
        var digits = text.TrimEnd('=').ToString();
        bytes = new byte[(digits.Length * 3 / 4) + 2];
        if (!Convert.TryFromBase64String(digits.PadRight((digits.Length + 3) / 4 * 4, '='), bytes, out var length))
        {
            return false;
        }

        bytes = bytes[..length];
        return true;
    }
}
