using System.Buffers;

namespace Signet.Proxy.L7;

/// <summary>The ID by which a request is found in the logs of every proxy on its way.</summary>
internal static class RequestId
{
    private static readonly SearchValues<char> SaneMarks = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/=+");

    /// <summary>The client's own ID if it is a short printable word, otherwise a new one; either way exactly one is in the fields afterwards.</summary>
    public static string Take(List<KeyValuePair<string, string>> fields)
    {
        var at = fields.FindIndex(field => field.Key.Equals(ForwardedHeaders.RequestId, StringComparison.OrdinalIgnoreCase));
        if (at >= 0 && IsSane(fields[at].Value))
        {
            return fields[at].Value;
        }

        if (at >= 0)
        {
            fields.RemoveAt(at);
        }

        var id = Guid.NewGuid().ToString();
        fields.Add(new(ForwardedHeaders.RequestId, id));
        return id;
    }

    private static bool IsSane(string id) => id.Length is > 0 and <= HttpLimits.MaxRequestId && !id.AsSpan().ContainsAnyExcept(SaneMarks);
}
