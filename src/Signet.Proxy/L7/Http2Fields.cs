namespace Signet.Proxy.L7;

/// <summary>Fields as HTTP/2 writes them.</summary>
internal static class Http2Fields
{
    /// <summary>Names in lower case (RFC 9113 §8.2.1). Only what is end-to-end may be given; the host is a pseudo-header there.</summary>
    /// <param name="fields">The fields.</param>
    /// <param name="extra">How many more will be added.</param>
    public static List<KeyValuePair<string, string>> Of(IReadOnlyList<KeyValuePair<string, string>> fields, int extra = 0)
    {
        var written = new List<KeyValuePair<string, string>>(fields.Count + extra);
        for (var i = 0; i < fields.Count; i++)
        {
            var name = fields[i].Key.ToLowerInvariant();
            if (name != "host")
            {
                written.Add(new(name, fields[i].Value));
            }
        }

        return written;
    }
}
