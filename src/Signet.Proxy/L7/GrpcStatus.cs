using System.Globalization;

namespace Signet.Proxy.L7;

/// <summary>What a gRPC call ends with, beside the status of HTTP: the fields <c>grpc-status</c> and <c>grpc-message</c>. Pure.</summary>
internal static class GrpcStatus
{
    public const string StatusField = "grpc-status";
    public const string MessageField = "grpc-message";
    public const int DeadlineExceeded = 4;

    private const int MaxTimeoutDigits = 8;

    /// <summary>The status of a response, when it has one that a log can carry.</summary>
    public static int? Read(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        for (var i = 0; i < fields.Count; i++)
        {
            if (fields[i].Key.Equals(StatusField, StringComparison.OrdinalIgnoreCase))
            {
                return int.TryParse(fields[i].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status <= ushort.MaxValue ? status : null;
            }
        }

        return null;
    }

    /// <summary>The status that stands for one of HTTP, as gRPC's own clients would take it, except that a call without permission is no mystery.</summary>
    public static int Of(int httpStatus) => httpStatus switch
    {
        400 or 431 => 13,
        401 => 16,
        403 => 7,
        404 or 501 => 12,
        429 or 502 or 503 or 504 => 14,
        _ => 2,
    };

    /// <summary>
    /// How long the caller waits, from <c>grpc-timeout</c>: at most eight digits and a unit, <c>H</c>, <c>M</c>, <c>S</c>, <c>m</c>,
    /// <c>u</c> or <c>n</c>. Null when it did not say, or not so.
    /// </summary>
    public static TimeSpan? TimeoutOf(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        for (var i = 0; i < fields.Count; i++)
        {
            if (fields[i].Key.Equals("grpc-timeout", StringComparison.OrdinalIgnoreCase))
            {
                var text = fields[i].Value.AsSpan();
                return text.Length is >= 2 and <= MaxTimeoutDigits + 1 && uint.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var value)
                    ? text[^1] switch
                    {
                        'H' => TimeSpan.FromHours(value),
                        'M' => TimeSpan.FromMinutes(value),
                        'S' => TimeSpan.FromSeconds(value),
                        'm' => TimeSpan.FromMilliseconds(value),
                        'u' => TimeSpan.FromMicroseconds(value),
                        'n' => TimeSpan.FromTicks(value / TimeSpan.NanosecondsPerTick),
                        _ => null,
                    }
                    : null;
            }
        }

        return null;
    }
}
