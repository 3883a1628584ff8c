using System.Globalization;

namespace Signet.Proxy.L7;

public enum BodyKind
{
    None,
    Length,

    /// <summary>It says itself where it ends, and may have trailers: in chunks, or in HTTP/2 as a stream.</summary>
    Chunked,

    /// <summary>Responses only: the body ends with the connection.</summary>
    UntilClose,
}

/// <summary>How a message's body is delimited (RFC 9112 §6.3), read so that no two readers can disagree.</summary>
/// <param name="Kind">What ends it.</param>
/// <param name="Length">Bytes, for <see cref="BodyKind.Length"/>.</param>
public readonly record struct BodyFraming(BodyKind Kind, long Length)
{
    public static BodyFraming None => default;

    public static BodyFraming Chunked => new(BodyKind.Chunked, 0);

    public static BodyFraming UntilClose => new(BodyKind.UntilClose, 0);

    /// <summary>The framing that the fields announce; null when they announce none.</summary>
    internal static bool TryRead(
        IReadOnlyList<KeyValuePair<string, string>> fields, int minorVersion, out BodyFraming? framing, out HttpProblem problem)
    {
        framing = null;
        problem = default;
        string? length = null;
        string? encoding = null;
        for (var i = 0; i < fields.Count; i++)
        {
            var (name, value) = fields[i];
            if (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                if (length is not null)
                {
                    problem = HttpProblem.ContentLengthRepeated;
                    return false;
                }

                length = value;
            }
            else if (name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
            {
                if (encoding is not null)
                {
                    problem = HttpProblem.TransferEncodingUnsupported;
                    return false;
                }

                encoding = value;
            }
        }

        if (encoding is not null)
        {
            // Only the one coding that every HTTP/1.1 reader knows, alone and unadorned.
            problem = length is not null ? HttpProblem.LengthAmbiguous : HttpProblem.TransferEncodingUnsupported;
            framing = Chunked;
            return length is null && minorVersion == 1 && encoding.Equals("chunked", StringComparison.OrdinalIgnoreCase);
        }

        if (length is not null)
        {
            problem = HttpProblem.ContentLengthMalformed;
            if (length.Length is 0 or > HttpLimits.MaxLengthDigits || length.AsSpan().ContainsAnyExceptInRange('0', '9'))
            {
                return false;
            }

            var bytes = long.Parse(length, NumberStyles.None, CultureInfo.InvariantCulture);
            framing = bytes == 0 ? None : new(BodyKind.Length, bytes);
        }

        return true;
    }
}
