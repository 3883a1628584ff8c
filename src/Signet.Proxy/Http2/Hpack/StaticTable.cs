using System.Collections.Frozen;

namespace Signet.Proxy.Http2.Hpack;

/// <summary>The fields that every connection knows (RFC 7541 appendix A). Indexes count from 1.</summary>
internal static class StaticTable
{
    private static readonly KeyValuePair<string, string>[] Entries =
    [
        new(":authority", ""), new(":method", "GET"), new(":method", "POST"), new(":path", "/"), new(":path", "/index.html"), new(":scheme", "http"),
        new(":scheme", "https"), new(":status", "200"), new(":status", "204"), new(":status", "206"), new(":status", "304"), new(":status", "400"),
        new(":status", "404"), new(":status", "500"), new("accept-charset", ""), new("accept-encoding", "gzip, deflate"), new("accept-language", ""),
        new("accept-ranges", ""), new("accept", ""), new("access-control-allow-origin", ""), new("age", ""), new("allow", ""), new("authorization", ""),
        new("cache-control", ""), new("content-disposition", ""), new("content-encoding", ""), new("content-language", ""), new("content-length", ""),
        new("content-location", ""), new("content-range", ""), new("content-type", ""), new("cookie", ""), new("date", ""), new("etag", ""), new("expect", ""),
        new("expires", ""), new("from", ""), new("host", ""), new("if-match", ""), new("if-modified-since", ""), new("if-none-match", ""), new("if-range", ""),
        new("if-unmodified-since", ""), new("last-modified", ""), new("link", ""), new("location", ""), new("max-forwards", ""), new("proxy-authenticate", ""),
        new("proxy-authorization", ""), new("range", ""), new("referer", ""), new("refresh", ""), new("retry-after", ""), new("server", ""), new("set-cookie", ""),
        new("strict-transport-security", ""), new("transfer-encoding", ""), new("user-agent", ""), new("vary", ""), new("via", ""), new("www-authenticate", ""),
    ];

    private static readonly FrozenDictionary<string, int> Names =
        Entries.Select((entry, i) => (entry.Key, i)).DistinctBy(entry => entry.Key).ToFrozenDictionary(entry => entry.Key, entry => entry.i + 1, StringComparer.Ordinal);

    public static int Count => Entries.Length;

    public static KeyValuePair<string, string> Entry(int index) => Entries[index - 1];

    /// <summary>Where a field is: the index of the whole field, or of the first with its name, or 0.</summary>
    public static (int Field, int Name) Find(string name, string value)
    {
        if (!Names.TryGetValue(name, out var first))
        {
            return (0, 0);
        }

        for (var i = first - 1; i < Entries.Length && Entries[i].Key == name; i++)
        {
            if (Entries[i].Value == value && value.Length > 0)
            {
                return (i + 1, first);
            }
        }

        return (0, first);
    }
}
