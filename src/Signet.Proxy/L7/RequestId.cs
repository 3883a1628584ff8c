using System.Buffers;
using System.Security.Cryptography;

namespace Signet.Proxy.L7;

/// <summary>The ID by which a request is found in the logs of every proxy on its way.</summary>
internal static class RequestId
{
    private const int Length = 16;

    /// <summary>Chance is asked for so many IDs at once: each time is a system call.</summary>
    private const int AtOnce = 64;

    [ThreadStatic]
    private static byte[]? t_random;

    [ThreadStatic]
    private static int t_left;

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

        var id = New();
        fields.Add(new(ForwardedHeaders.RequestId, id));
        return id;
    }

    /// <summary>A random UUID (RFC 9562 §5.4).</summary>
    private static string New()
    {
        var random = t_random ??= new byte[Length * AtOnce];
        if (t_left == 0)
        {
            RandomNumberGenerator.Fill(random);
            t_left = random.Length;
        }

        t_left -= Length;
        var id = random.AsSpan(t_left, Length);
        id[6] = (byte)((id[6] & 0x0f) | 0x40);
        id[8] = (byte)((id[8] & 0x3f) | 0x80);
        return new Guid(id, bigEndian: true).ToString();
    }

    private static bool IsSane(string id) => id.Length is > 0 and <= HttpLimits.MaxRequestId && !id.AsSpan().ContainsAnyExcept(SaneMarks);
}
